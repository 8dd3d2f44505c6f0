//! A server of Postgres' protocol with another SQL: a proxy that spoils words in queries, before a real Postgres.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy},
    net::{TcpListener, TcpStream},
};

/// Starts a proxy before `target`. In queries each of `words` gets a letter that makes another word of it.
pub(crate) async fn without_words(target: SocketAddr, words: &'static [&'static str]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let Ok(server) = TcpStream::connect(target).await else { return };
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                tokio::spawn(async move { copy(&mut from_server, &mut to_client).await });
                // The first message has no type.
                let mut has_type = false;
                loop {
                    let mut head = vec![0; if has_type { 5 } else { 4 }];
                    if from_client.read_exact(&mut head).await.is_err() {
                        return;
                    }
                    let length = u32::from_be_bytes(head[head.len() - 4..].try_into().unwrap());
                    let mut body = vec![0; length as usize - 4];
                    if from_client.read_exact(&mut body).await.is_err() {
                        return;
                    }
                    if has_type && head[0] == b'Q' {
                        spoil(&mut body, words);
                    }
                    has_type = true;
                    if to_server.write_all(&[head, body].concat()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

fn spoil(query: &mut [u8], words: &[&str]) {
    for word in words {
        let found: Vec<usize> =
            (0..query.len()).filter(|at| query[*at..].starts_with(word.as_bytes())).collect();
        for at in found {
            query[at] = b'z';
        }
    }
}
