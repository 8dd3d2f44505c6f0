//! The format of a file, and how its bytes are compressed, as the end of its name tells.

use std::io::{self, BufRead, Read};

use flate2::bufread::MultiGzDecoder;

use super::content::ContentReader;

/// Bytes that are decompressed ahead.
const BUFFER_BYTES: usize = 64 * 1024;
/// Largest window of a zstd frame, as a power of two: what `zstd --ultra` writes. Bounds memory.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Csv,
    /// CSV with tabs.
    Tsv,
    /// One JSON object a line.
    JsonLines,
    Parquet,
    /// Arrow IPC, as a file or as a stream.
    Arrow,
    /// A workbook of Excel.
    Xlsx,
}

/// Words after `format =`.
pub(super) const FORMATS: [(&str, Format); 6] = [
    ("csv", Format::Csv),
    ("tsv", Format::Tsv),
    ("jsonl", Format::JsonLines),
    ("parquet", Format::Parquet),
    ("arrow", Format::Arrow),
    ("xlsx", Format::Xlsx),
];

impl Format {
    /// The format that the end of a name tells.
    pub(super) fn of(name: &str) -> Option<Self> {
        let lower = name.to_ascii_lowercase();
        let plain = lower.strip_suffix(".gz").or_else(|| lower.strip_suffix(".zst")).unwrap_or(&lower);
        let is_compressed = plain.len() < lower.len();
        let end = plain.rsplit(['/', '.']).next().filter(|end| end.len() < plain.len())?;
        Some(match end {
            "csv" => Self::Csv,
            "tsv" => Self::Tsv,
            "jsonl" | "ndjson" => Self::JsonLines,
            // These have compression of their own, and are read from their end.
            "parquet" | "pq" if !is_compressed => Self::Parquet,
            "arrow" | "arrows" | "feather" | "ipc" if !is_compressed => Self::Arrow,
            "xlsx" | "xlsm" if !is_compressed => Self::Xlsx,
            _ => return None,
        })
    }
}

/// The bytes of a file of text, decompressed as the end of its name tells.
pub(super) fn decompressed(name: &str, content: ContentReader) -> io::Result<Box<dyn BufRead + Send>> {
    let end = name.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    Ok(if end == "gz" {
        buffered(MultiGzDecoder::new(io::BufReader::new(content)))
    } else if end == "zst" {
        let mut decoder = zstd::Decoder::new(content)?;
        decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
        buffered(decoder)
    } else {
        buffered(content)
    })
}

fn buffered(read: impl Read + Send + 'static) -> Box<dyn BufRead + Send> {
    Box::new(io::BufReader::with_capacity(BUFFER_BYTES, read))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_names_tell_the_format() {
        for (name, expected) in [
            ("a.csv", Some(Format::Csv)),
            ("2026/a.b.TSV", Some(Format::Tsv)),
            ("a.jsonl.gz", Some(Format::JsonLines)),
            ("a.csv.zst", Some(Format::Csv)),
            ("a.parquet", Some(Format::Parquet)),
            ("a.parquet.gz", None),
            ("a.feather", Some(Format::Arrow)),
            ("a.XLSX", Some(Format::Xlsx)),
            ("csv", None),
            ("2026.csv/data", None),
            ("a.json", None),
            ("a.gz", None),
        ] {
            assert_eq!(Format::of(name), expected, "{name}");
        }
    }
}
