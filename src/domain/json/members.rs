//! The members of the objects that are open during a scan: finds duplicates, drops the earlier ones.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

/// Up to this many members an object is searched from end to end; past it a hash set takes over.
const LINEAR_MAX: usize = 32;

/// One member as written, in offsets from the start of the value.
#[derive(Debug, Clone, Copy)]
struct Member {
    /// Where it begins: the opening quote of its key.
    from: u32,
    /// Just after the closing quote of its key.
    key_to: u32,
    /// Equal keys have equal tags; most others differ.
    tag: u64,
    /// A later member has the same key.
    dead: bool,
}

/// One open object.
#[derive(Debug, Default)]
pub(super) struct OpenObject {
    first: usize,
    has_dead: bool,
    set: Option<Box<(RandomState, HashTable<u32>)>>,
}

/// The members of all open objects, innermost last. Reused from value to value.
#[derive(Debug, Default)]
pub(super) struct Members {
    members: Vec<Member>,
}

impl Members {
    pub(super) fn clear(&mut self) {
        self.members.clear();
    }

    pub(super) fn open(&self) -> OpenObject {
        OpenObject { first: self.members.len(), has_dead: false, set: None }
    }

    /// Adds the member whose key stands in `text` at `from..key_to`, quotes included, and marks
    /// an earlier member of `object` with the same key as dead.
    pub(super) fn add(&mut self, object: &mut OpenObject, text: &[u8], from: usize, key_to: usize) {
        let key = &text[from..key_to];
        let member = Member { from: from as u32, key_to: key_to as u32, tag: tag(key), dead: false };
        let earlier = match &mut object.set {
            None => self.members[object.first..]
                .iter()
                .position(|other| !other.dead && other.tag == member.tag && key_of(text, other) == key)
                .map(|at| at + object.first),
            Some(set) => replace(set, &self.members, text, key, self.members.len() as u32),
        };
        if let Some(at) = earlier {
            self.members[at].dead = true;
            object.has_dead = true;
        }
        self.members.push(member);
        if object.set.is_none() && self.members.len() - object.first > LINEAR_MAX {
            object.set = Some(Box::new(self.index(object.first, text)));
        }
    }

    fn index(&self, first: usize, text: &[u8]) -> (RandomState, HashTable<u32>) {
        let state = RandomState::new();
        let mut table = HashTable::with_capacity(4 * LINEAR_MAX);
        for (at, member) in self.members.iter().enumerate().skip(first).filter(|(_, member)| !member.dead) {
            let hash = |at: &u32| state.hash_one(key_of(text, &self.members[*at as usize]));
            table.insert_unique(state.hash_one(key_of(text, member)), at as u32, hash);
        }
        (state, table)
    }

    /// Closes `object`, whose members end at the end of `out`, and takes the dead ones out of it;
    /// the value begins at `start` of `out`.
    pub(super) fn close(&mut self, object: &OpenObject, out: &mut Vec<u8>, start: usize) {
        if object.has_dead {
            let members = &self.members[object.first..];
            let mut to = start + members[0].from as usize;
            let mut is_first = true;
            for (at, member) in members.iter().enumerate().filter(|(_, member)| !member.dead) {
                let from = start + member.from as usize;
                let end = members.get(at + 1).map_or(out.len(), |next| start + next.from as usize - 1);
                if !is_first {
                    out[to] = b',';
                    to += 1;
                }
                is_first = false;
                out.copy_within(from..end, to);
                to += end - from;
            }
            out.truncate(to);
        }
        self.members.truncate(object.first);
    }
}

/// Puts member number `at` into the set in place of the one with the same key, which it returns.
fn replace(
    set: &mut (RandomState, HashTable<u32>),
    members: &[Member],
    text: &[u8],
    key: &[u8],
    at: u32,
) -> Option<usize> {
    let (state, table) = set;
    let hash = state.hash_one(key);
    if let Some(found) = table.find_mut(hash, |other| key_of(text, &members[*other as usize]) == key) {
        return Some(std::mem::replace(found, at) as usize);
    }
    let hash_of = |other: &u32| {
        // Only members that are already in the list are ever hashed anew.
        state.hash_one(key_of(text, &members[*other as usize]))
    };
    table.insert_unique(hash, at, hash_of);
    None
}

fn key_of<'a>(text: &'a [u8], member: &Member) -> &'a [u8] {
    &text[member.from as usize..member.key_to as usize]
}

/// Length, first and last bytes of a key, mixed: one comparison tells most keys apart.
fn tag(key: &[u8]) -> u64 {
    let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    let length = key.len();
    if length >= 8 {
        let first = word(&key[..8]);
        return first ^ word(&key[length - 8..]).rotate_left(27) ^ ((length as u64) << 56);
    }
    key.iter().fold(length as u64, |tag, byte| tag << 8 | u64::from(*byte))
}
