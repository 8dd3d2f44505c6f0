//! Speeds and sizes of segments and the cache.
#[path = "support/records.rs"]
mod records;

use larder::domain::record::Record;
use zstd::zstd_safe::*;

const SEED: u64 = 7;

fn main() {
    let mut record = Record::default();
    let mut samples = Vec::new();
    let mut sizes = Vec::new();
    for n in 0..1500_u64 {
        records::record(SEED, 0, n * 7919 % 1_000_000, &mut record);
        samples.extend_from_slice(&record.body);
        sizes.push(record.body.len());
    }
    let mut test = Vec::new();
    for n in 0..100_000_u64 {
        records::record(SEED, 0, 1_000_000 + n, &mut record);
        test.push(record.body.clone());
    }
    for kib in [8, 16, 32, 64] {
        let dict = zstd::dict::from_continuous(&samples, &sizes, kib * 1024).unwrap();
        let ddict = DDict::try_create(&dict).unwrap();
        let base = |l| vec![CParameter::CompressionLevel(l)];
        let mut sets: Vec<Vec<CParameter>> = [1, 2, 3, -1, -2, -4, -7].into_iter().map(base).collect();
        for extra in [
            vec![CParameter::ForceAttachDict(DictAttachPref::ForceCopy)],
            vec![CParameter::ForceAttachDict(DictAttachPref::ForceLoad)],
            vec![CParameter::MinMatch(4)],
            vec![CParameter::MinMatch(5)],
            vec![CParameter::MinMatch(7)],
            vec![CParameter::HashLog(12)],
            vec![CParameter::HashLog(15)],
            vec![CParameter::TargetLength(2)],
            vec![CParameter::TargetLength(4)],
            vec![CParameter::LiteralCompressionMode(ParamSwitch::Disable)],
            vec![CParameter::ForceAttachDict(DictAttachPref::ForceCopy), CParameter::HashLog(12)],
        ] {
            let mut s = base(1);
            s.extend(extra);
            sets.push(s);
        }
        for set in sets {
            let mut c = CCtx::create();
            for p in [
                CParameter::Format(FrameFormat::Magicless),
                CParameter::ContentSizeFlag(true),
                CParameter::ChecksumFlag(false),
                CParameter::DictIdFlag(false),
            ] {
                c.set_parameter(p).unwrap();
            }
            for p in &set {
                c.set_parameter(*p).unwrap();
            }
            c.load_dictionary(&dict).unwrap();
            let mut out = Vec::with_capacity(100_000);
            c.compress2(&mut out, &test[0]).unwrap();
            let (mut raw, mut packed) = (0, 0);
            let mut all = Vec::new();
            let start = std::time::Instant::now();
            for body in &test {
                out.clear();
                c.compress2(&mut out, body).unwrap();
                raw += body.len();
                packed += out.len();
                all.push(out.clone());
            }
            let time = start.elapsed();
            let mut d = DCtx::create();
            d.set_parameter(DParameter::Format(FrameFormat::Magicless)).unwrap();
            let start = std::time::Instant::now();
            for body in &all {
                out.clear();
                d.decompress_using_ddict(&mut out, body, &ddict).unwrap();
            }
            let dt = start.elapsed();
            println!(
                "{kib} KiB {set:?}: ratio {:.3} ({} B), {:?} in, {:?} out",
                raw as f64 / packed as f64,
                packed / test.len(),
                time / test.len() as u32,
                dt / test.len() as u32
            );
        }
    }
}
