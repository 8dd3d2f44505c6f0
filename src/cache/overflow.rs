//! Overflow sets: the records that share one place of an index, in the order of their primary keys.

use super::location::{Location, Segments};

/// Most locations of a piece: an insertion moves at most 4 KiB, and a million claimants of one value make a few
/// thousand pieces.
const PIECE: usize = 512;

/// Locations in pieces, ordered by the bytes of their records' primary keys. A record is a member at most once.
#[derive(Debug, Default)]
pub(super) struct OverflowSet {
    /// No piece is empty.
    pieces: Vec<Vec<Location>>,
}

/// How many members a set has.
pub(super) enum Few {
    None,
    One(Location),
    Many,
}

impl OverflowSet {
    /// The set of `members`, which are in order.
    pub(super) fn from_ordered(members: &[Location]) -> Self {
        Self { pieces: members.chunks(PIECE).map(<[Location]>::to_vec).collect() }
    }

    /// The set of two records.
    pub(super) fn pair(segments: &Segments, one: Location, other: Location) -> Self {
        let mut pair = [one, other];
        pair.sort_by_key(|&at| segments.key(at));
        Self::from_ordered(&pair)
    }

    /// All, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Location> {
        self.pieces.iter().flatten().copied()
    }

    /// Whether a set is needed at all.
    pub(super) fn few(&self) -> Few {
        match self.pieces.as_slice() {
            [] => Few::None,
            [piece] if piece.len() == 1 => Few::One(piece[0]),
            _ => Few::Many,
        }
    }

    /// Inserts `new`, in place of a member with its key.
    pub(super) fn put(&mut self, segments: &Segments, new: Location) {
        let (piece, at) = self.position(segments, segments.key(new));
        match at {
            Ok(at) => self.pieces[piece][at] = new,
            Err(at) => {
                if self.pieces.is_empty() {
                    self.pieces.push(Vec::new());
                }
                let members = &mut self.pieces[piece];
                members.insert(at, new);
                if members.len() > PIECE {
                    let upper = members.split_off(PIECE / 2);
                    self.pieces.insert(piece + 1, upper);
                }
            }
        }
    }

    /// Removes `old` and returns whether it was a member. It is none when a newer row of its record is.
    pub(super) fn remove(&mut self, segments: &Segments, old: Location) -> bool {
        let (piece, Ok(at)) = self.position(segments, segments.key(old)) else { return false };
        let members = &mut self.pieces[piece];
        if members[at] != old {
            return false;
        }
        members.remove(at);
        if members.is_empty() {
            self.pieces.remove(piece);
        }
        true
    }

    /// The piece where `key` belongs, and its position there, present or not.
    fn position(&self, segments: &Segments, key: Option<&str>) -> (usize, Result<usize, usize>) {
        let after = self.pieces.partition_point(|piece| segments.key(piece[0]) <= key);
        let piece = after.saturating_sub(1);
        let members = self.pieces.get(piece).map(Vec::as_slice).unwrap_or_default();
        (piece, members.binary_search_by(|&member| segments.key(member).cmp(&key)))
    }

    /// Its memory in bytes.
    pub(super) fn memory(&self) -> usize {
        self.pieces.iter().map(|piece| piece.capacity() * 8 + 24).sum::<usize>() + 64
    }
}
