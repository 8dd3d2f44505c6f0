//! Overflow sets: the records that share one place of an index. The first one that has a value holds it.

use std::cmp::Reverse;

use super::location::{Location, Segments};

/// The order of a set: by the bytes of the primary keys, or the records first that are highest in a column.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Order {
    /// The column whose texts sort like the values of `newest`.
    pub(super) newest: Option<usize>,
}

/// What a set is ordered by.
type Rank<'a> = (Reverse<Option<&'a str>>, Option<&'a str>);

impl Order {
    pub(super) fn rank<'a>(&self, segments: &'a Segments, at: Location) -> Rank<'a> {
        let newest = self.newest.and_then(|column| segments.values(column, at)?.next());
        (Reverse(newest), segments.key(at))
    }
}

/// Most locations of a piece: an insertion moves at most 4 KiB, and a million claimants of one value make a few
/// thousand pieces.
const PIECE: usize = 512;

/// Locations in pieces, in an [`Order`]. A record is a member at most once.
#[derive(Debug, Default)]
pub(super) struct OverflowSet {
    order: Order,
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
    pub(super) fn from_ordered(order: Order, members: &[Location]) -> Self {
        Self { order, pieces: members.chunks(PIECE).map(<[Location]>::to_vec).collect() }
    }

    /// The set of two records.
    pub(super) fn pair(order: Order, segments: &Segments, one: Location, other: Location) -> Self {
        let mut pair = [one, other];
        pair.sort_by_key(|&at| order.rank(segments, at));
        Self::from_ordered(order, &pair)
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

    /// Inserts `new`, in place of `old`, the location of its record before.
    pub(super) fn put(&mut self, segments: &Segments, old: Option<Location>, new: Location) {
        if let (Some(old), Some(_)) = (old, self.order.newest) {
            // Its place in the order may be another one now.
            self.remove(segments, old);
        }
        let (piece, at) = self.position(segments, new);
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

    /// Removes `old` and returns whether it was a member. It is not a member when a newer row of its record is.
    pub(super) fn remove(&mut self, segments: &Segments, old: Location) -> bool {
        let (piece, Ok(at)) = self.position(segments, old) else { return false };
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

    /// The piece where the record at `at` belongs, and its position there, present or not.
    fn position(&self, segments: &Segments, at: Location) -> (usize, Result<usize, usize>) {
        let rank = self.order.rank(segments, at);
        let after = self.pieces.partition_point(|piece| self.order.rank(segments, piece[0]) <= rank);
        let piece = after.saturating_sub(1);
        let members = self.pieces.get(piece).map(Vec::as_slice).unwrap_or_default();
        (piece, members.binary_search_by(|&member| self.order.rank(segments, member).cmp(&rank)))
    }

    /// Its memory in bytes.
    pub(super) fn memory(&self) -> usize {
        self.pieces.iter().map(|piece| piece.capacity() * 8 + 24).sum::<usize>() + 64
    }
}
