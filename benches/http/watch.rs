//! Waits for events that scripts need to know to the millisecond; a shell that polls costs a core.

use std::{
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::{Target, answer, requests::Requests};

/// How often is looked.
const INTERVAL: Duration = Duration::from_millis(1);
/// Longest wait.
const WAIT_MAX: Duration = Duration::from_mins(5);

/// Waits until an answer is of `version` or a later one.
pub(crate) fn version(target: &Target, version: u64) {
    let mut stream = TcpStream::connect(target.address).expect("a server at the address");
    stream.set_nodelay(true).expect("a socket option");
    stream.set_read_timeout(Some(WAIT_MAX)).expect("a socket option");
    let (mut requests, mut answer) = (Requests::new(target), Vec::new());
    await_moment(|| {
        stream.write_all(requests.next()).expect("a request is sent");
        answer.clear();
        let mut buffer = [0; 16 * 1024];
        while answer::whole(&answer).is_none() {
            let count = stream.read(&mut buffer).expect("an answer");
            assert!(count > 0, "the server keeps the connection");
            answer.extend_from_slice(&buffer[..count]);
        }
        answer::version(&answer).is_some_and(|seen| seen >= version)
    });
}

/// Waits until `file` exists.
pub(crate) fn file(file: &Path) {
    await_moment(|| file.exists());
}

#[expect(
    clippy::disallowed_methods,
    reason = "a condition is awaited with a deadline here, and scripts need the time of day that it came true"
)]
fn await_moment(mut is_there: impl FnMut() -> bool) {
    let deadline = Instant::now() + WAIT_MAX;
    while !is_there() {
        assert!(Instant::now() < deadline, "it happens within {WAIT_MAX:?}");
        thread::sleep(INTERVAL);
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    println!("{:.4}", now.as_secs_f64());
}
