//! Realistic records of about 790 bytes of JSON. A seed determines them.

use std::io::Write;

use larder::domain::record::Record;

const FIRST: &[&str] = &[
    "Olivia", "Noah", "Amelia", "Liam", "Sofia", "Lucas", "Mia", "Mateo", "Hannah", "Elias", "Aisha",
    "Yusuf", "Chloé", "Jürgen", "Ingrid", "Søren", "Wei", "Haruto", "Priya", "Arjun", "Fatima", "Omar",
    "Isabella", "Diego", "Ewa", "Piotr", "Niamh", "Ciarán", "Grace", "Samuel", "Zoë", "Viktor", "Leila",
    "Thomas", "Ana", "Pedro", "Katarina", "Marko", "Ruth", "Daniel",
];
const LAST: &[&str] = &[
    "Smith",
    "Johnson",
    "García",
    "Müller",
    "Rossi",
    "Nguyen",
    "Kowalski",
    "Andersen",
    "Tanaka",
    "Patel",
    "Okafor",
    "Silva",
    "Dubois",
    "Novak",
    "O'Brien",
    "Haddad",
    "Kim",
    "Ivanova",
    "Fischer",
    "Lindqvist",
    "Moreau",
    "Costa",
    "Schneider",
    "Walker",
    "Bianchi",
    "Yilmaz",
    "Popescu",
    "van Dijk",
    "Murphy",
    "Sato",
    "Hernández",
    "Brown",
    "Lefebvre",
    "Wójcik",
    "Hansen",
    "Chen",
    "Kaur",
    "Mensah",
    "Larsen",
    "Weber",
];
const HOSTS: &[&str] = &[
    "gmail.com",
    "outlook.com",
    "yahoo.com",
    "icloud.com",
    "example.com",
    "example.org",
    "proton.me",
    "web.de",
];
const CITIES: &[(&str, &str)] = &[
    ("San Francisco, CA", "US"),
    ("New York, NY", "US"),
    ("Austin, TX", "US"),
    ("Chicago, IL", "US"),
    ("Berlin", "DE"),
    ("München", "DE"),
    ("Paris", "FR"),
    ("Lyon", "FR"),
    ("Madrid", "ES"),
    ("Barcelona", "ES"),
    ("London", "GB"),
    ("Manchester", "GB"),
    ("Kraków", "PL"),
    ("Tōkyō", "JP"),
    ("Osaka", "JP"),
    ("Toronto, ON", "CA"),
    ("São Paulo", "BR"),
    ("Amsterdam", "NL"),
    ("København", "DK"),
    ("Stockholm", "SE"),
    ("Dublin", "IE"),
    ("Lagos", "NG"),
    ("Mumbai", "IN"),
    ("Bengaluru", "IN"),
    ("Sydney, NSW", "AU"),
    ("Mexico City", "MX"),
];
const GENRES: &[&str] = &[
    "house",
    "techno",
    "ambient",
    "indie rock",
    "jazz",
    "hip hop",
    "drum and bass",
    "synthwave",
    "folk",
    "soul",
    "afrobeat",
    "classical",
    "shoegaze",
    "trance",
    "downtempo",
    "metal",
    "bossa nova",
    "disco",
    "k-pop",
    "lo-fi",
];
const WORDS: &[&str] = &[
    "Aphex",
    "Sultan",
    "Universal",
    "Language",
    "Velvet",
    "Harbor",
    "Northern",
    "Static",
    "Golden",
    "Paper",
    "Midnight",
    "Coral",
    "Glass",
    "Signal",
    "Echo",
    "Silver",
    "Parade",
    "Hollow",
    "Garden",
    "Electric",
    "River",
    "Satellite",
    "Amber",
    "Meridian",
    "Crystal",
    "Wolves",
    "Lantern",
    "Distant",
    "Summer",
    "Machine",
    "Violet",
    "Horizon",
    "Concrete",
    "Feather",
    "Orbit",
    "Tidal",
    "Marble",
    "Copper",
    "Winter",
    "Atlas",
    "Neon",
    "Forest",
    "Circuit",
    "Desert",
    "Mirror",
    "Ivory",
    "Thunder",
    "Quiet",
    "Cedar",
    "Phantom",
];
const LABELS: &[&str] = &[
    "Anjunadeep",
    "Ninja Tune",
    "Warp",
    "Sub Pop",
    "Kompakt",
    "Domino",
    "Ghostly International",
    "XL Recordings",
    "Erased Tapes",
    "Stones Throw",
    "Innervisions",
    "mau5trap",
];
const TIERS: &[&str] = &["free", "standard", "premium", "family"];

/// A pseudo-random number generator (`SplitMix64`).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(limit)) >> 64) as u64
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    fn name(&mut self) -> String {
        format!("{} {}", self.pick(WORDS), self.pick(WORDS))
    }

    fn date(&mut self, first_year: u64, years: u64) -> String {
        let (year, month, day) = (first_year + self.below(years), 1 + self.below(12), 1 + self.below(28));
        format!("{year}-{month:02}-{day:02}")
    }
}

/// Writes record `number` to `out`. Another `round` gives the same keys and e-mail addresses with other
/// bodies. The only secondary index is the e-mail address.
pub(crate) fn record(seed: u64, round: u64, number: u64, out: &mut Record) {
    let mut fixed = Random(seed ^ number.wrapping_mul(0xd6e8_feb8_6659_fd93));
    let mut random = Random(fixed.next() ^ round.wrapping_mul(0xa076_1d64_78bd_642f));
    let (first, last) = (fixed.pick(FIRST), fixed.pick(LAST));
    let email = format!(
        "{}.{}{}@{}",
        first.to_lowercase(),
        last.to_lowercase().replace([' ', '\''], ""),
        number,
        fixed.pick(HOSTS)
    );
    let (city, country) = fixed.pick(CITIES);
    out.clear();
    out.key.push_str(&(10_000_000 + number).to_string());
    out.values.push(1, &email);
    let body = &mut out.body;
    write!(
        body,
        "{{\"user_id\":{},\"uuid\":\"{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}\",\"full_name\":\"{first} {last}\",\
         \"email\":\"{email}\",\"phone\":\"+1 {:03} 555 {:04}\",\"city\":\"{city}\",\"country\":\"{country}\",\"tier\":\"{}\",\"signed_up\":\"{}\",\
         \"last_seen_at\":\"{}T{:02}:{:02}:{:02}Z\",\"lifetime_value\":{}.{:02},\"churn_risk\":0.{:02},\
         \"90_day_summary\":{{\"num_songs_listened\":{},\"top_genres\":[\"{}\",\"{}\",\"{}\"],\
         \"top_artists\":[\"{}\",\"{}\",\"{}\"]}},\"recommendations\":{{\"concerts\":[",
        10_000_000 + number,
        fixed.next() >> 32,
        fixed.next() >> 48,
        fixed.next() >> 52,
        fixed.next() >> 52,
        fixed.next() >> 16,
        fixed.below(1000),
        fixed.below(10_000),
        random.pick(TIERS),
        fixed.date(2015, 10),
        random.date(2026, 1),
        random.below(24),
        random.below(60),
        random.below(60),
        random.below(5000),
        random.below(100),
        random.below(100),
        random.below(4000),
        random.pick(GENRES),
        random.pick(GENRES),
        random.pick(GENRES),
        random.name(),
        random.name(),
        random.name(),
    )
    .expect("writes to a vector do not fail");
    for concert in 0..2 {
        let (artist, place, date) = (random.name(), random.pick(CITIES).0, random.date(2026, 2));
        let comma = if concert == 0 { "" } else { "," };
        write!(body, "{comma}{{\"artist\":\"{artist}\",\"location\":\"{place}\",\"event_date\":\"{date}\"}}")
            .expect("writes to a vector do not fail");
    }
    write!(
        body,
        "],\"upcoming_album_release\":{{\"title\":\"{}\",\"artist\":\"{}\",\"label\":\"{}\",\"release_date\":\"{}\"}}}}}}",
        random.name(),
        random.name(),
        random.pick(LABELS),
        random.date(2026, 2),
    )
    .expect("writes to a vector do not fail");
}
