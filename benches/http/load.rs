//! The load generator: one thread, an epoll, keep-alive connections with one request each at a time.
//! Every answer must be a 200 whose body is as long as it says; whatever else comes is a failure.

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    num::NonZeroU64,
    time::{Duration, Instant},
};

use rustix::{
    buffer::spare_capacity,
    event::{
        PollFd, PollFlags,
        epoll::{self, Event, EventData, EventFlags},
        poll,
    },
    fd::OwnedFd,
    io::Errno,
    thread::set_current_timer_slack,
    time::Timespec,
};

use crate::{Load, Target, answer, report::Report, requests::Requests};

/// Requests due and not yet sent that are remembered; past it the server is hopelessly behind.
const WAITING_MAX: usize = 1_000_000;
/// How long answers may take after the last request was sent.
const LINGER: Duration = Duration::from_secs(5);
/// A run with more failures than these says nothing any more.
const FAILURES_MAX: u64 = 1_000;
/// Events taken from the kernel at a time.
const EVENTS: usize = 256;
/// The number under which standard input is watched: no connection has it.
const PHASES: u64 = u64::MAX;

struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    /// When the request under way was due.
    due: Option<Instant>,
}

struct Generator {
    address: SocketAddr,
    epoll: OwnedFd,
    connections: Vec<Connection>,
    idle: Vec<usize>,
    requests: Requests,
    /// Requests that may still be sent.
    left: u64,
    report: Report,
    /// Standard input has ended: so does the run.
    is_over: bool,
    buffer: Vec<u8>,
    events: Vec<Event>,
}

impl Generator {
    fn connect(target: &Target, phase: String) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut connections = Vec::with_capacity(target.connections);
        for number in 0..target.connections {
            connections.push(open(target.address, &epoll, number)?);
        }
        Ok(Self {
            address: target.address,
            epoll,
            idle: (0..target.connections).collect(),
            connections,
            requests: Requests::new(target),
            left: u64::MAX,
            report: Report::begin(phase),
            is_over: false,
            buffer: vec![0; 64 * 1024],
            events: Vec::with_capacity(EVENTS),
        })
    }

    /// Sends one request that was due at `due`.
    fn send(&mut self, number: usize, due: Instant) -> io::Result<()> {
        let connection = &mut self.connections[number];
        self.left = self.left.saturating_sub(1);
        connection.due = Some(due);
        // A request fits the socket's buffer: nothing else is in it.
        let sent = connection.stream.write_all(self.requests.next());
        if sent.is_err() { self.renew(number) } else { Ok(()) }
    }

    /// Another connection in the place of one that was lost, and with it a request.
    fn renew(&mut self, number: usize) -> io::Result<()> {
        self.report.failed(1);
        self.connections[number] = open(self.address, &self.epoll, number)?;
        self.idle.push(number);
        Ok(())
    }

    /// Waits for answers until `until` at most, and makes their connections idle.
    fn wait(&mut self, until: Instant) -> io::Result<()> {
        let wait = until.saturating_duration_since(Instant::now());
        if !wait.is_zero() {
            // An epoll's own timeout is rounded up to milliseconds; whole bursts would be sent late.
            let timeout =
                Timespec { tv_sec: wait.as_secs().cast_signed(), tv_nsec: i64::from(wait.subsec_nanos()) };
            match poll(&mut [PollFd::new(&self.epoll, PollFlags::IN)], Some(&timeout)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let mut events = std::mem::take(&mut self.events);
        events.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&Timespec::default())) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            match event.data.u64() {
                PHASES => self.next_phase()?,
                number => self.receive(number as usize)?,
            }
        }
        self.events = events;
        Ok(())
    }

    /// Reads what came; the connection is idle when the answer is whole.
    fn receive(&mut self, number: usize) -> io::Result<()> {
        let connection = &mut self.connections[number];
        let count = match connection.stream.read(&mut self.buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Ok(0) | Err(_) => return self.renew(number),
            Ok(count) => count,
        };
        let came = &self.buffer[..count];
        let is_first = connection.received.is_empty();
        if !is_first {
            connection.received.extend_from_slice(came);
        }
        match answer::whole(if is_first { came } else { &connection.received }) {
            None if is_first => connection.received.extend_from_slice(came),
            None => {}
            Some(is_good) => {
                connection.received.clear();
                let Some(due) = connection.due.take() else { return self.renew(number) };
                self.report.answered(due.elapsed(), is_good);
                self.idle.push(number);
            }
        }
        Ok(())
    }

    /// Reads the name of the next phase from standard input and prints the report of this one.
    fn next_phase(&mut self) -> io::Result<()> {
        let mut name = [0; 64];
        let count = io::stdin().read(&mut name)?;
        if count == 0 {
            self.is_over = true;
            return epoll::delete(&self.epoll, io::stdin()).map_err(Into::into);
        }
        println!("{}", self.report);
        let names = String::from_utf8_lossy(&name[..count]);
        // Of two that came at once the first was over before it began.
        self.report = Report::begin(names.lines().last().unwrap_or_default().to_owned());
        Ok(())
    }

    fn goes_on(&self) -> bool {
        !self.is_over && self.left > 0 && self.report.failures() <= FAILURES_MAX
    }

    /// Every connection asks again as soon as it is answered. Never sleeps: to wake a sleeper costs the
    /// server, and the slower one would pay more often.
    fn closed_loop(&mut self, end: Instant) -> io::Result<()> {
        while Instant::now() < end && self.goes_on() {
            while let (true, Some(number)) = (self.left > 0, self.idle.pop()) {
                self.send(number, Instant::now())?;
            }
            self.wait(Instant::now())?;
        }
        self.finish(VecDeque::new())
    }

    /// Requests are sent when they are due, as soon as a connection is free.
    fn open_loop(&mut self, end: Instant, rate: u64) -> io::Result<()> {
        // The kernel may wake a sleeper 50 µs late unless it is told otherwise.
        set_current_timer_slack(NonZeroU64::new(1))?;
        let begin = Instant::now();
        let due_at = |number: u64| begin + Duration::from_nanos(number * 1_000_000_000 / rate);
        let mut next = 0;
        let mut waiting = VecDeque::new();
        while due_at(next) < end && self.goes_on() {
            let now = Instant::now();
            if due_at(next) <= now && waiting.is_empty() && !self.idle.is_empty() {
                self.report.woke(now - due_at(next));
            }
            while due_at(next) <= now && due_at(next) < end && waiting.len() < WAITING_MAX {
                waiting.push_back(due_at(next));
                next += 1;
            }
            self.send_waiting(&mut waiting)?;
            self.wait(due_at(next))?;
        }
        self.finish(waiting)
    }

    fn send_waiting(&mut self, waiting: &mut VecDeque<Instant>) -> io::Result<()> {
        while let (true, Some(&number), Some(&due)) = (self.left > 0, self.idle.last(), waiting.front()) {
            self.idle.pop();
            waiting.pop_front();
            self.send(number, due)?;
        }
        Ok(())
    }

    /// Sends what is waiting and takes the answers under way; what has none in time is a failure.
    fn finish(&mut self, mut waiting: VecDeque<Instant>) -> io::Result<()> {
        let deadline = Instant::now() + LINGER;
        self.left = if self.left == 0 { 0 } else { waiting.len() as u64 };
        while self.under_way() + self.left > 0
            && Instant::now() < deadline
            && self.report.failures() <= FAILURES_MAX
        {
            self.send_waiting(&mut waiting)?;
            self.wait(Instant::now() + Duration::from_millis(1))?;
        }
        self.report.failed(self.under_way() + self.left);
        Ok(())
    }

    fn under_way(&self) -> u64 {
        (self.connections.len() - self.idle.len()) as u64
    }
}

fn open(address: SocketAddr, epoll: &OwnedFd, number: usize) -> io::Result<Connection> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    epoll::add(epoll, &stream, EventData::new_u64(number as u64), EventFlags::IN)?;
    Ok(Connection { stream, received: Vec::new(), due: None })
}

/// Runs for `length` and prints a line for each phase.
pub(crate) fn run(load: &Load, length: Duration) {
    let phase = load.phase.clone().unwrap_or_default();
    let mut generator = Generator::connect(&load.target, phase).expect("a server at the address");
    generator.left = load.requests;
    if load.phase.is_some() {
        epoll::add(&generator.epoll, io::stdin(), EventData::new_u64(PHASES), EventFlags::IN)
            .expect("phases come over a pipe");
    }
    let end = Instant::now() + length;
    let ended = match load.rate {
        Some(rate) => generator.open_loop(end, rate),
        None => generator.closed_loop(end),
    };
    ended.expect("the server takes connections");
    println!("{}", generator.report);
}

/// Opens connections, asks once over each, and holds them until standard input ends.
pub(crate) fn hold(target: &Target) {
    let mut generator = Generator::connect(target, String::new()).expect("a server at the address");
    let count = generator.connections.len();
    for number in std::mem::take(&mut generator.idle) {
        generator.send(number, Instant::now()).expect("the server takes connections");
        let deadline = Instant::now() + LINGER;
        while generator.idle.is_empty() {
            assert!(Instant::now() < deadline, "an answer within {LINGER:?}");
            generator.wait(deadline).expect("an answer");
        }
        generator.idle.clear();
    }
    let (asked, failed) = (generator.report.requests(), generator.report.failures());
    assert!(asked == count as u64 && failed == 0, "{failed} of {count} were not answered well");
    println!("open {count}");
    let _ = io::stdin().read_to_end(&mut Vec::new());
}
