//! The members of the open objects of a scan. Of members with one key only the last is kept.

/// Up to this many members an object is searched from end to end for each new one; an object with
/// more is sorted once, when it ends.
const LINEAR_MAX: usize = 32;

/// The offsets of one member from the start of the value.
#[derive(Debug, Clone, Copy)]
struct Member {
    /// Where it begins: the opening quote of its key.
    from: u32,
    /// Just after the closing quote of its key.
    key_to: u32,
    /// Equal keys have equal tags; different keys rarely do.
    tag: u64,
    /// A later member has the same key.
    dead: bool,
}

#[derive(Debug)]
pub(super) struct OpenObject {
    first: usize,
    has_dead: bool,
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
        OpenObject { first: self.members.len(), has_dead: false }
    }

    /// Adds the member whose key stands in `text` at `from..key_to`, quotes included. While the
    /// object is small, marks an earlier member with the same key as dead.
    pub(super) fn add(&mut self, object: &mut OpenObject, text: &[u8], from: usize, key_to: usize) {
        let key = &text[from..key_to];
        let tag = tag(key);
        let earlier = &mut self.members[object.first..];
        if earlier.len() < LINEAR_MAX {
            let same = |other: &&mut Member| !other.dead && other.tag == tag && key_of(text, other) == key;
            if let Some(same) = earlier.iter_mut().find(same) {
                same.dead = true;
                object.has_dead = true;
            }
        }
        self.members.push(Member { from: from as u32, key_to: key_to as u32, tag, dead: false });
    }

    /// Marks all members of a large object but the last of each key as dead. True when there are
    /// dead ones.
    fn mark_duplicates(members: &mut [Member], text: &[u8]) -> bool {
        let mut order: Vec<u32> = (0..members.len() as u32).collect();
        let key = |at: u32| (members[at as usize].tag, key_of(text, &members[at as usize]));
        order.sort_unstable_by(|&one, &other| key(one).cmp(&key(other)).then(one.cmp(&other)));
        let earlier: Vec<u32> =
            order.windows(2).filter(|pair| key(pair[0]) == key(pair[1])).map(|pair| pair[0]).collect();
        for &at in &earlier {
            members[at as usize].dead = true;
        }
        !earlier.is_empty()
    }

    /// Closes `object`, whose members end at the end of `out`, and takes the dead ones out of it;
    /// the value begins at `start` of `out`.
    pub(super) fn close(&mut self, object: &OpenObject, out: &mut Vec<u8>, start: usize) {
        let members = &mut self.members[object.first..];
        let is_large = members.len() > LINEAR_MAX;
        if (is_large && Self::mark_duplicates(members, &out[start..])) || object.has_dead {
            let members = &*members;
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
