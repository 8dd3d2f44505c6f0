//! A server of SQL Server's protocol, as MS-TDS describes it: logins, and results that a test writes down.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

pub(crate) const USER: &str = "reader";
pub(crate) const PASSWORD: &str = "secret ß ?#/@%";
pub(crate) const TOKEN: &str = "header.payload.signature";

/// Bytes of a packet that are sent, its head included: rows are spread over many.
const PACKET_BYTES: usize = 4096;
const HEAD_BYTES: usize = 8;
const LOGIN: u8 = 0x10;
const PRELOGIN: u8 = 0x12;
const BATCH: u8 = 0x01;
/// `TYPE_INFO` of `nvarchar(4000)` and of a nullable bit.
const NVARCHAR: &[u8] = &[0xe7, 0x40, 0x1f, 9, 4, 0xd0, 0, 0x34];
const BIT: &[u8] = &[0x68, 1];

/// What a query gives.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reply {
    /// Names, types as `sp_describe_first_result_set` names them, and `TYPE_INFO` as MS-TDS has it.
    pub(crate) columns: Vec<(String, String, Vec<u8>)>,
    /// The values of each row, as they stand behind a ROW token.
    pub(crate) rows: Vec<Vec<u8>>,
    /// The number and words of the error that comes after the rows.
    pub(crate) error: Option<(u32, String)>,
    /// A second result follows.
    pub(crate) is_double: bool,
}

#[derive(Default)]
struct State {
    replies: Mutex<HashMap<String, Reply>>,
    batches: Mutex<Vec<String>>,
    /// How its database keeps snapshots, as `sys.databases` says.
    isolation: Mutex<String>,
    open: AtomicU32,
    redirect: Mutex<Option<SocketAddr>>,
}

/// A running server.
pub(crate) struct Tds {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

impl Tds {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        "snapshot".clone_into(&mut state.isolation.lock().unwrap());
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                tokio::spawn(async move {
                    state.open.fetch_add(1, Ordering::SeqCst);
                    let _ = serve(stream, &state).await;
                    state.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, state }
    }

    /// Answers `sql` with `reply` from now on.
    pub(crate) fn answer(&self, sql: &str, reply: Reply) {
        self.state.replies.lock().unwrap().insert(sql.to_owned(), reply);
    }

    pub(crate) fn set_isolation(&self, isolation: &str) {
        isolation.clone_into(&mut self.state.isolation.lock().unwrap());
    }

    /// Sends logins on to another server.
    pub(crate) fn redirect(&self, to: SocketAddr) {
        *self.state.redirect.lock().unwrap() = Some(to);
    }

    /// Every batch that came.
    pub(crate) fn batches(&self) -> Vec<String> {
        self.state.batches.lock().unwrap().clone()
    }

    /// Connections that are open.
    pub(crate) fn open(&self) -> u32 {
        self.state.open.load(Ordering::SeqCst)
    }

    /// The keys of a source that reads it.
    pub(crate) fn section(&self) -> String {
        format!(
            "type = \"sqlserver\"\nhost = \"127.0.0.1\"\nport = {}\nuser = \"{USER}\"\npassword = \"{PASSWORD}\"\n\
             database = \"shop\"\nencryption = \"off\"\n",
            self.address.port()
        )
    }
}

async fn serve(mut stream: TcpStream, state: &State) -> io::Result<()> {
    loop {
        let (kind, message) = receive(&mut stream).await?;
        let answer = match kind {
            PRELOGIN => prelogin(&message),
            LOGIN => login(&message, state),
            BATCH => {
                let headers = u32::from_le_bytes(message[..4].try_into().unwrap()) as usize;
                let sql = utf16(&message[headers..]);
                state.batches.lock().unwrap().push(sql.clone());
                batch(&sql, state)
            }
            _ => return Ok(()),
        };
        send(&mut stream, &answer).await?;
    }
}

async fn receive(stream: &mut TcpStream) -> io::Result<(u8, Vec<u8>)> {
    let mut message = Vec::new();
    loop {
        let mut head = [0; HEAD_BYTES];
        stream.read_exact(&mut head).await?;
        let mut body = vec![0; usize::from(u16::from_be_bytes([head[2], head[3]])) - HEAD_BYTES];
        stream.read_exact(&mut body).await?;
        message.extend(body);
        if head[1] & 1 == 1 {
            return Ok((head[0], message));
        }
    }
}

async fn send(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let mut pieces = message.chunks(PACKET_BYTES - HEAD_BYTES).peekable();
    let mut number = 1_u8;
    while let Some(piece) = pieces.next() {
        let length = u16::try_from(piece.len() + HEAD_BYTES).unwrap().to_be_bytes();
        let is_last = u8::from(pieces.peek().is_none());
        stream.write_all(&[4, is_last, length[0], length[1], 0, 0, number, 0]).await?;
        stream.write_all(piece).await?;
        number = number.wrapping_add(1);
    }
    Ok(())
}

/// Version, no encryption, and federated login where the client has a token.
fn prelogin(message: &[u8]) -> Vec<u8> {
    let wants_token = message.chunks(5).take_while(|option| option[0] != 0xff).any(|option| option[0] == 6);
    let options: &[(u8, &[u8])] = &[(0, &[15, 0, 0, 0, 0, 0]), (1, &[2]), (6, &[1])];
    let options = if wants_token { options } else { &options[..2] };
    let mut at = u16::try_from(options.len() * 5 + 1).unwrap();
    let (mut heads, mut values) = (Vec::new(), Vec::new());
    for (number, value) in options {
        let length = u16::try_from(value.len()).unwrap();
        heads.push(*number);
        heads.extend(at.to_be_bytes());
        heads.extend(length.to_be_bytes());
        values.extend_from_slice(value);
        at += length;
    }
    heads.push(0xff);
    heads.extend(values);
    heads
}

fn login(message: &[u8], state: &State) -> Vec<u8> {
    let number = |at: usize| usize::from(u16::from_le_bytes([message[at], message[at + 1]]));
    let bytes = |at: usize| &message[number(at)..number(at) + 2 * number(at + 2)];
    let password: Vec<u8> = bytes(44).iter().map(|byte| (byte ^ 0xa5).rotate_left(4)).collect();
    let token = utf16_bytes(TOKEN);
    let has_token = message.windows(token.len()).any(|part| part == token);
    let mut answer = Vec::new();
    if !has_token && (utf16(bytes(40)) != USER || utf16(&password) != PASSWORD) {
        answer.extend(error(18456, "Login failed for user."));
    } else if !["", "shop"].contains(&&*utf16(bytes(68))) {
        answer.extend(error(4060, "Cannot open database requested by the login."));
    } else {
        let name = b_varchar("Test");
        answer.push(0xad);
        answer.extend(u16::try_from(9 + name.len()).unwrap().to_le_bytes());
        answer.extend([1, 0x74, 0, 0, 4]);
        answer.extend(name);
        answer.extend([16, 0, 0, 0]);
        if let Some(to) = *state.redirect.lock().unwrap() {
            // ENVCHANGE of type 20: protocol, port, host.
            let host = to.ip().to_string();
            let mut value = vec![0];
            value.extend(to.port().to_le_bytes());
            value.extend(u16::try_from(host.len()).unwrap().to_le_bytes());
            value.extend(utf16_bytes(&host));
            answer.push(0xe3);
            answer.extend(u16::try_from(value.len() + 5).unwrap().to_le_bytes());
            answer.push(20);
            answer.extend(u16::try_from(value.len()).unwrap().to_le_bytes());
            answer.extend(value);
            answer.extend([0, 0]);
        }
        if has_token {
            answer.extend([0xae, 2, 0, 0, 0, 0, 0xff]);
        }
        answer.extend(done(0));
        return answer;
    }
    answer.extend(done(2));
    answer
}

fn batch(sql: &str, state: &State) -> Vec<u8> {
    if sql.starts_with("set ") {
        return done(0);
    }
    if sql.starts_with("select case when snapshot_isolation_state") {
        let columns = [("isolation".to_owned(), String::new(), NVARCHAR.to_vec())];
        let row = us_value(&state.isolation.lock().unwrap());
        return [metadata(&columns), vec![0xd1], row, done(0x10)].concat();
    }
    let described = sql.strip_prefix("exec sp_describe_first_result_set N'");
    let described = described.and_then(|rest| rest.strip_suffix('\'')).map(|sql| sql.replace("''", "'"));
    let replies = state.replies.lock().unwrap();
    let Some(reply) = replies.get(described.as_deref().unwrap_or(sql)) else {
        return [error(208, "Invalid object name 'nothere'."), done(2)].concat();
    };
    if described.is_some() {
        return match &reply.error {
            Some((number, words)) if reply.columns.is_empty() => [error(*number, words), done(2)].concat(),
            _ => describe(reply),
        };
    }
    let mut answer = metadata(&reply.columns);
    for row in &reply.rows {
        answer.push(0xd1);
        answer.extend_from_slice(row);
    }
    if let Some((number, words)) = &reply.error {
        answer.extend(error(*number, words));
        answer.extend(done(2));
    } else if reply.is_double {
        answer.extend(done(0x11));
        answer.extend(metadata(&reply.columns));
        answer.extend(done(0x10));
    } else {
        answer.extend(done(0x10));
    }
    answer
}

fn describe(reply: &Reply) -> Vec<u8> {
    let column = |name: &str, info: &[u8]| (name.to_owned(), String::new(), info.to_vec());
    let mut answer =
        metadata(&[column("is_hidden", BIT), column("name", NVARCHAR), column("system_type_name", NVARCHAR)]);
    for (name, type_name, _) in &reply.columns {
        answer.extend([0xd1, 1, 0]);
        answer.extend(us_value(name));
        answer.extend(us_value(type_name));
    }
    answer.extend(done(0x10));
    answer
}

fn metadata(columns: &[(String, String, Vec<u8>)]) -> Vec<u8> {
    let mut answer = vec![0x81];
    answer.extend(u16::try_from(columns.len()).unwrap().to_le_bytes());
    for (name, _, info) in columns {
        answer.extend([0, 0, 0, 0, 9, 0]);
        answer.extend_from_slice(info);
        answer.extend(b_varchar(name));
    }
    answer
}

fn error(number: u32, words: &str) -> Vec<u8> {
    let mut body = number.to_le_bytes().to_vec();
    body.extend([1, 16]);
    body.extend(u16::try_from(words.encode_utf16().count()).unwrap().to_le_bytes());
    body.extend(utf16_bytes(words));
    body.extend([0, 0, 1, 0, 0, 0]);
    let mut token = vec![0xaa];
    token.extend(u16::try_from(body.len()).unwrap().to_le_bytes());
    token.extend(body);
    token
}

/// 1 more results follow, 2 an error came, 16 the count of rows is meant.
fn done(status: u8) -> Vec<u8> {
    vec![0xfd, status, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
}

/// A value of `nvarchar(4000)`.
pub(crate) fn us_value(text: &str) -> Vec<u8> {
    let bytes = utf16_bytes(text);
    let mut value = u16::try_from(bytes.len()).unwrap().to_le_bytes().to_vec();
    value.extend(bytes);
    value
}

/// A value of a type without a largest length, in two pieces.
pub(crate) fn plp_value(bytes: &[u8]) -> Vec<u8> {
    let mut value = (bytes.len() as u64).to_le_bytes().to_vec();
    let (first, second) = bytes.split_at(bytes.len() / 4 * 2);
    for piece in [first, second].into_iter().filter(|piece| !piece.is_empty()) {
        value.extend(u32::try_from(piece.len()).unwrap().to_le_bytes());
        value.extend_from_slice(piece);
    }
    value.extend([0; 4]);
    value
}

fn b_varchar(text: &str) -> Vec<u8> {
    let mut value = vec![u8::try_from(text.encode_utf16().count()).unwrap()];
    value.extend(utf16_bytes(text));
    value
}

pub(crate) fn utf16_bytes(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn utf16(bytes: &[u8]) -> String {
    let units: Vec<u16> = bytes.chunks(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]])).collect();
    String::from_utf16(&units).unwrap()
}
