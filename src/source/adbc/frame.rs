//! What a worker answers: frames of one byte for the kind, four for the length, and that many bytes.

use std::io::{self, Write};

use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::job::Failure;
use crate::{
    domain::{
        limits::BATCH_BYTES,
        row::{Column, RowBatch},
    },
    source::cell::ROW_BYTES_MAX,
};

/// Longest frame: a batch that one row of the largest size has filled, with room for the places of its cells.
const FRAME_BYTES_MAX: usize = 2 * (BATCH_BYTES + 2 * ROW_BYTES_MAX);

/// One message of a worker.
#[derive(Debug)]
pub(super) enum Frame {
    /// The database is open.
    Connected,
    /// The columns of the query.
    Columns(Vec<Column>),
    /// Rows of the query.
    Rows(RowBatch),
    /// The tables of the database.
    Tables(Vec<String>),
    /// The call failed; nothing follows.
    Failed(Failure),
    /// The call succeeded; nothing follows.
    End,
}

impl Frame {
    /// Writes the frame and hands it over at once.
    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let (kind, text, bytes): (u8, &[u8], Vec<u8>) = match self {
            Self::Connected => (b'c', &[], Vec::new()),
            Self::Columns(columns) => (b'd', &[], serde_json::to_vec(columns)?),
            // The text goes out from where it is.
            Self::Rows(batch) => (b'r', batch.text(), batch.places()),
            Self::Tables(names) => (b't', &[], serde_json::to_vec(names)?),
            Self::Failed(failure) => (b'f', &[], serde_json::to_vec(failure)?),
            Self::End => (b'e', &[], Vec::new()),
        };
        let length = u32::try_from(text.len() + bytes.len()).map_err(io::Error::other)?;
        out.write_all(&[kind])?;
        out.write_all(&length.to_le_bytes())?;
        out.write_all(text)?;
        out.write_all(&bytes)?;
        out.flush()
    }

    /// Reads the next frame.
    ///
    /// # Errors
    /// `UnexpectedEof` when the worker has ended, `InvalidData` when it does not send frames.
    pub(super) async fn read(input: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        let kind = input.read_u8().await?;
        let length = input.read_u32_le().await? as usize;
        let invalid = || io::Error::from(io::ErrorKind::InvalidData);
        if !b"cdrtfe".contains(&kind) || length > FRAME_BYTES_MAX {
            return Err(invalid());
        }
        // Into memory that is not zeroed first.
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let rest = (length - bytes.len()) as u64;
            if (&mut *input).take(rest).read_buf(&mut bytes).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(match kind {
            b'c' => Self::Connected,
            b'd' => Self::Columns(serde_json::from_slice(&bytes)?),
            b'r' => Self::Rows(RowBatch::from_bytes(bytes).ok_or_else(invalid)?),
            b't' => Self::Tables(serde_json::from_slice(&bytes)?),
            b'f' => Self::Failed(serde_json::from_slice(&bytes)?),
            _ => Self::End,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::row::CellKind;

    async fn read(bytes: &[u8]) -> io::Result<Frame> {
        Frame::read(&mut &*bytes).await
    }

    #[tokio::test]
    async fn frames_come_back_as_written_and_damaged_ones_are_refused() {
        let mut batch = RowBatch::new(2);
        for row in 0..3 {
            batch.push(CellKind::Integer, row.to_string().as_bytes());
            batch.push(CellKind::Text, "größer".as_bytes());
        }
        batch.count_nulled();
        let mut bytes = Vec::new();
        Frame::Rows(batch.clone()).write(&mut bytes).unwrap();
        let Frame::Rows(found) = read(&bytes).await.unwrap() else { panic!() };
        assert_eq!((found.rows(), found.columns(), found.nulled()), (3, 2, 1));
        for row in 0..3 {
            assert_eq!(found.cell(row, 0), batch.cell(row, 0));
            assert_eq!(found.cell(row, 1), (CellKind::Text, "größer".as_bytes()));
        }
        // Whatever one wrong byte makes of it, it is no panic.
        for at in 0..bytes.len() {
            for value in [0, 1, 7, 127, 128, 255] {
                let mut damaged = bytes.clone();
                damaged[at] = value;
                if let Ok(Frame::Rows(found)) = read(&damaged).await {
                    for row in 0..found.rows() {
                        let _ = found.cell(row, found.columns() - 1);
                    }
                }
            }
            assert!(read(&bytes[..at]).await.is_err());
        }
        assert!(read(b"garbage of a driver").await.is_err());
    }
}
