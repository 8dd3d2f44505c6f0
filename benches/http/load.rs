//! The load generator: one thread, an epoll, keep-alive connections with one request each at a time.
//! Every answer must be a 200 whose body is as long as it says; whatever else comes is a failure.

use std::{
    collections::VecDeque,
    fmt,
    io::{self, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use rustix::{
    buffer::spare_capacity,
    event::epoll::{self, EventData, EventFlags},
    time::Timespec,
};

use crate::{Target, histogram::Histogram};

/// Requests due and not yet sent that are remembered; past it the server is hopelessly behind.
const WAITING_MAX: usize = 1_000_000;
/// How long answers may take after the last request was sent.
const LINGER: Duration = Duration::from_secs(5);

/// What came back.
pub(crate) struct Report {
    requests: u64,
    failures: u64,
    seconds: f64,
    latency: Histogram,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quantile = |quantile| self.latency.quantile_micros(quantile);
        write!(
            f,
            "requests={} failures={} seconds={:.2} rate={:.0} p50={:.0} p99={:.0} p999={:.0} max={:.0}",
            self.requests,
            self.failures,
            self.seconds,
            self.requests as f64 / self.seconds,
            quantile(0.5),
            quantile(0.99),
            quantile(0.999),
            self.latency.max_micros()
        )
    }
}

struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    /// When the request under way was due.
    due: Option<Instant>,
}

/// The requests: one text with a number in it.
struct Requests {
    before: String,
    after: String,
    keys: u64,
    state: u64,
    text: Vec<u8>,
}

impl Requests {
    fn new(target: &Target) -> Self {
        let (before, after) = target.path.split_once("{}").unwrap_or((&target.path, ""));
        let headers: String = target.header.iter().flat_map(|line| [line, "\r\n"]).collect();
        let has_number = target.path.contains("{}");
        Self {
            before: format!("GET {before}"),
            after: format!("{after} HTTP/1.1\r\nHost: bench\r\n{headers}\r\n"),
            keys: if has_number { target.keys } else { 0 },
            state: 0x9e37_79b9_7f4a_7c15,
            text: Vec::new(),
        }
    }

    fn next(&mut self) -> &[u8] {
        self.text.clear();
        self.text.extend_from_slice(self.before.as_bytes());
        if self.keys > 0 {
            // Xorshift: the same keys in every run.
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            let _ = write!(self.text, "{}", self.state % self.keys + 1);
        }
        self.text.extend_from_slice(self.after.as_bytes());
        &self.text
    }
}

struct Generator {
    epoll: rustix::fd::OwnedFd,
    connections: Vec<Connection>,
    idle: Vec<usize>,
    requests: Requests,
    report: Report,
    buffer: Vec<u8>,
}

impl Generator {
    fn connect(target: &Target) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut connections = Vec::with_capacity(target.connections);
        for number in 0..target.connections {
            let stream = TcpStream::connect(target.address)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            epoll::add(&epoll, &stream, EventData::new_u64(number as u64), EventFlags::IN)?;
            connections.push(Connection { stream, received: Vec::new(), due: None });
        }
        let report = Report { requests: 0, failures: 0, seconds: 0.0, latency: Histogram::new() };
        Ok(Self {
            epoll,
            idle: (0..target.connections).collect(),
            connections,
            requests: Requests::new(target),
            report,
            buffer: vec![0; 64 * 1024],
        })
    }

    /// Sends one request that was due at `due`.
    fn send(&mut self, number: usize, due: Instant) -> io::Result<()> {
        let connection = &mut self.connections[number];
        connection.due = Some(due);
        // A request fits the socket's buffer: nothing else is in it.
        connection.stream.write_all(self.requests.next())
    }

    /// Waits for answers until `until` at most; calls `answered` with each connection that is free.
    fn wait(&mut self, until: Instant) -> io::Result<Vec<usize>> {
        let wait = until.saturating_duration_since(Instant::now());
        let timeout =
            Timespec { tv_sec: wait.as_secs().cast_signed(), tv_nsec: i64::from(wait.subsec_nanos()) };
        let mut events = Vec::with_capacity(256);
        epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&timeout))?;
        let mut free = Vec::new();
        for event in events {
            let number = event.data.u64() as usize;
            if self.receive(number)? {
                free.push(number);
            }
        }
        Ok(free)
    }

    /// Reads what came; whether the answer is whole.
    fn receive(&mut self, number: usize) -> io::Result<bool> {
        let connection = &mut self.connections[number];
        let count = match connection.stream.read(&mut self.buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        };
        let answer = if connection.received.is_empty() {
            &self.buffer[..count]
        } else {
            connection.received.extend_from_slice(&self.buffer[..count]);
            connection.received.as_slice()
        };
        match whole(answer) {
            None => {
                if connection.received.is_empty() {
                    connection.received.extend_from_slice(&self.buffer[..count]);
                }
                Ok(false)
            }
            Some(is_good) => {
                connection.received.clear();
                let Some(due) = connection.due.take() else { return Err(io::ErrorKind::InvalidData.into()) };
                self.report.requests += 1;
                self.report.failures += u64::from(!is_good);
                self.report.latency.record(due.elapsed().as_nanos() as u64);
                Ok(true)
            }
        }
    }

    /// Every connection asks again as soon as it is answered. Never sleeps: to wake a sleeper costs the
    /// server, and the slower one would pay more often.
    fn closed_loop(&mut self, end: Instant) -> io::Result<()> {
        for number in std::mem::take(&mut self.idle) {
            self.send(number, Instant::now())?;
        }
        while Instant::now() < end {
            for number in self.wait(Instant::now())? {
                self.send(number, Instant::now())?;
            }
        }
        Ok(())
    }

    /// Requests are sent when they are due, as soon as a connection is free.
    fn open_loop(&mut self, begin: Instant, end: Instant, rate: u64) -> io::Result<()> {
        let due_at = |number: u64| begin + Duration::from_nanos(number * 1_000_000_000 / rate);
        let mut next = 0;
        let mut waiting = VecDeque::new();
        loop {
            let now = Instant::now();
            while due_at(next) <= now && due_at(next) < end && waiting.len() < WAITING_MAX {
                waiting.push_back(due_at(next));
                next += 1;
            }
            while let (Some(number), Some(due)) = (self.idle.last(), waiting.front()) {
                let (number, due) = (*number, *due);
                self.idle.pop();
                waiting.pop_front();
                self.send(number, due)?;
            }
            let is_over = due_at(next) >= end;
            if is_over
                && (waiting.is_empty() && self.idle.len() == self.connections.len() || now > end + LINGER)
            {
                return Ok(());
            }
            let until = if is_over { now + Duration::from_millis(100) } else { due_at(next) };
            let free = self.wait(until)?;
            self.idle.extend(free);
        }
    }
}

/// Whether an answer is whole, and then whether it is good.
fn whole(answer: &[u8]) -> Option<bool> {
    let head = memchr::memmem::find(answer, b"\r\n\r\n")? + 4;
    let lower = answer[..head].to_ascii_lowercase();
    let length = memchr::memmem::find(&lower, b"content-length: ").map_or(0, |at| {
        let digits = lower[at + 16..].iter().take_while(|byte| byte.is_ascii_digit());
        digits.fold(0_usize, |sum, digit| sum * 10 + usize::from(digit - b'0'))
    });
    (answer.len() >= head + length)
        .then(|| answer.len() == head + length && answer.starts_with(b"HTTP/1.1 200 "))
}

/// Runs for `length`.
pub(crate) fn run(target: &Target, rate: Option<u64>, length: Duration) -> Report {
    let mut generator = Generator::connect(target).expect("a server at the address");
    let begin = Instant::now();
    let ended = match rate {
        Some(rate) => generator.open_loop(begin, begin + length, rate),
        None => generator.closed_loop(begin + length),
    };
    ended.expect("the server goes on answering");
    let mut report = generator.report;
    report.seconds = begin.elapsed().as_secs_f64();
    report
}

/// Opens connections, asks once over each, and holds them until standard input ends.
pub(crate) fn hold(target: &Target) {
    let mut generator = Generator::connect(target).expect("a server at the address");
    for number in 0..generator.connections.len() {
        generator.send(number, Instant::now()).expect("room to send");
        let deadline = Instant::now() + LINGER;
        while generator.wait(deadline).expect("an answer").is_empty() {
            assert!(Instant::now() < deadline, "an answer within {LINGER:?}");
        }
    }
    println!("open {}", generator.report.requests - generator.report.failures);
    let _ = io::stdin().read_to_end(&mut Vec::new());
}
