//! AS_PATH (RFC 4271 §5.1.2, confederation segments of RFC 5065).

use std::fmt;

use bytes::{BufMut, BytesMut};
use nom::Parser as _;
use nom::bytes::complete::take;
use nom::number::complete::be_u8;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::Asn;

/// Most ASes that one segment can hold: its count is one octet.
const MAX_SEGMENT_LEN: usize = 255;

/// One segment of an AS_PATH; never empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Segment {
    /// AS_SEQUENCE: in order, nearest first.
    Sequence(SmallVec<[Asn; 4]>),
    /// AS_SET: in no order.
    Set(SmallVec<[Asn; 4]>),
    /// AS_CONFED_SEQUENCE.
    ConfedSequence(SmallVec<[Asn; 4]>),
    /// AS_CONFED_SET.
    ConfedSet(SmallVec<[Asn; 4]>),
}

impl Segment {
    /// The ASes of the segment, whatever their meaning.
    #[must_use]
    pub fn asns(&self) -> &[Asn] {
        match self {
            Self::Sequence(asns) | Self::Set(asns) | Self::ConfedSequence(asns) | Self::ConfedSet(asns) => {
                asns
            }
        }
    }

    /// Whether it belongs to a confederation (RFC 5065 §3).
    #[must_use]
    pub fn is_confederation(&self) -> bool {
        match self {
            Self::Sequence(_) | Self::Set(_) => false,
            Self::ConfedSequence(_) | Self::ConfedSet(_) => true,
        }
    }

    /// What it adds to the length of the path: a set counts as one AS (RFC 4271 §9.1.2.2 a), confederation
    /// segments do not count (RFC 5065 §5.3).
    #[must_use]
    pub fn length(&self) -> usize {
        match self {
            Self::Sequence(asns) => asns.len(),
            Self::Set(_) => 1,
            Self::ConfedSequence(_) | Self::ConfedSet(_) => 0,
        }
    }

    fn type_code(&self) -> u8 {
        match self {
            Self::Set(_) => 1,
            Self::Sequence(_) => 2,
            Self::ConfedSequence(_) => 3,
            Self::ConfedSet(_) => 4,
        }
    }

    fn from_type_code(code: u8, asns: SmallVec<[Asn; 4]>) -> Option<Self> {
        match code {
            1 => Some(Self::Set(asns)),
            2 => Some(Self::Sequence(asns)),
            3 => Some(Self::ConfedSequence(asns)),
            4 => Some(Self::ConfedSet(asns)),
            _ => None,
        }
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (open, close) = match self {
            Self::Sequence(_) => ("", ""),
            Self::Set(_) => ("{", "}"),
            Self::ConfedSequence(_) => ("(", ")"),
            Self::ConfedSet(_) => ("[", "]"),
        };
        f.write_str(open)?;
        for (at, asn) in self.asns().iter().enumerate() {
            write!(f, "{}{asn}", if at == 0 { "" } else { " " })?;
        }
        f.write_str(close)
    }
}

/// The ASes a path went through, nearest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AsPath(pub SmallVec<[Segment; 1]>);

impl AsPath {
    /// A path of one sequence; of no ASes, the empty path.
    pub fn sequence(asns: impl IntoIterator<Item = Asn>) -> Self {
        let asns: SmallVec<[Asn; 4]> = asns.into_iter().collect();
        if asns.is_empty() { Self::default() } else { Self(smallvec::smallvec![Segment::Sequence(asns)]) }
    }

    /// Its length for the decision process (RFC 4271 §9.1.2.2 a, RFC 5065 §5.3).
    #[must_use]
    pub fn length(&self) -> usize {
        self.0.iter().map(Segment::length).sum()
    }

    /// The AS that the route was learned from, for comparing MED (RFC 4271 §9.1.2.2 c): the first of the
    /// leading sequence, confederation segments aside. `None` for a path that is empty or starts with a set.
    #[must_use]
    pub fn neighbor(&self) -> Option<Asn> {
        match self.0.iter().find(|segment| !segment.is_confederation())? {
            Segment::Sequence(asns) => asns.first().copied(),
            Segment::Set(_) | Segment::ConfedSequence(_) | Segment::ConfedSet(_) => None,
        }
    }

    /// The AS that originated the route: the last of a final sequence. `None` for a path that is empty or
    /// ends in a set or inside the confederation (RFC 6811 §2).
    #[must_use]
    pub fn origin(&self) -> Option<Asn> {
        match self.0.last()? {
            Segment::Sequence(asns) => asns.last().copied(),
            Segment::Set(_) | Segment::ConfedSequence(_) | Segment::ConfedSet(_) => None,
        }
    }

    /// Whether `asn` stands anywhere in it (the loop check of RFC 4271 §9.1.2).
    #[must_use]
    pub fn contains(&self, asn: Asn) -> bool {
        self.asns().any(|other| other == asn)
    }

    /// How often `asn` stands in it.
    #[must_use]
    pub fn count(&self, asn: Asn) -> usize {
        self.asns().filter(|other| *other == asn).count()
    }

    /// Every AS of every segment, from the left.
    pub fn asns(&self) -> impl Iterator<Item = Asn> + '_ {
        self.0.iter().flat_map(|segment| segment.asns().iter().copied())
    }

    /// Puts `asn` in front, in a new segment where the first one is full or no sequence (RFC 4271 §5.1.2 b).
    pub fn prepend(&mut self, asn: Asn) {
        match self.0.first_mut() {
            Some(Segment::Sequence(asns)) if asns.len() < MAX_SEGMENT_LEN => asns.insert(0, asn),
            Some(
                Segment::Sequence(_) | Segment::Set(_) | Segment::ConfedSequence(_) | Segment::ConfedSet(_),
            )
            | None => self.0.insert(0, Segment::Sequence(smallvec::smallvec![asn])),
        }
    }

    /// The same inside a confederation, with AS_CONFED_SEQUENCE (RFC 5065 §4 b).
    pub fn prepend_confederation(&mut self, asn: Asn) {
        match self.0.first_mut() {
            Some(Segment::ConfedSequence(asns)) if asns.len() < MAX_SEGMENT_LEN => asns.insert(0, asn),
            Some(
                Segment::Sequence(_) | Segment::Set(_) | Segment::ConfedSequence(_) | Segment::ConfedSet(_),
            )
            | None => self.0.insert(0, Segment::ConfedSequence(smallvec::smallvec![asn])),
        }
    }

    /// Takes out what is nobody's business outside of the confederation (RFC 5065 §4 c).
    pub fn remove_confederation(&mut self) {
        self.0.retain(|segment| !segment.is_confederation());
    }

    /// Reads the value of AS_PATH, or of AS4_PATH with `four_octets`.
    ///
    /// Every way of RFC 7606 §7.2 to be malformed is an error, and AS 0 is (RFC 7607 §2).
    pub(super) fn decode(mut value: &[u8], four_octets: bool) -> Result<Self, String> {
        let mut path = Self::default();
        while !value.is_empty() {
            let overrun = |_| format!("a segment overruns the attribute: {}", super::error::hex(value));
            let (rest, (kind, count)) = (be_u8::<_, ()>, be_u8).parse(value).map_err(overrun)?;
            if count == 0 {
                return Err("a segment of length 0".to_owned());
            }
            let width = if four_octets { 4 } else { 2 };
            let (rest, octets) = take::<_, _, ()>(usize::from(count) * width).parse(rest).map_err(overrun)?;
            let asns: SmallVec<[Asn; 4]> = if four_octets {
                octets.as_chunks::<4>().0.iter().map(|asn| Asn(u32::from_be_bytes(*asn))).collect()
            } else {
                octets.as_chunks::<2>().0.iter().map(|asn| Asn(u16::from_be_bytes(*asn).into())).collect()
            };
            if asns.contains(&Asn(0)) {
                return Err("AS number 0 in the path (RFC 7607)".to_owned());
            }
            let segment = Segment::from_type_code(kind, asns)
                .ok_or_else(|| format!("segment type {kind} is not defined"))?;
            path.0.push(segment);
            value = rest;
        }
        Ok(path)
    }

    /// Writes the value of AS_PATH; without `four_octets`, large numbers become AS_TRANS (RFC 6793 §4.2.2).
    /// A segment of more than 255 ASes is split, so that no path is unrepresentable.
    pub(super) fn encode(&self, four_octets: bool, out: &mut BytesMut) {
        for segment in &self.0 {
            for asns in segment.asns().chunks(MAX_SEGMENT_LEN) {
                out.put_u8(segment.type_code());
                out.put_u8(u8::try_from(asns.len()).unwrap_or(u8::MAX));
                for asn in asns {
                    if four_octets {
                        out.put_u32(asn.0);
                    } else {
                        out.put_u16(asn.to_two_octets());
                    }
                }
            }
        }
    }

    /// The path that AS4_PATH carries beside this one to a two-octet speaker: none where two octets are
    /// enough, else everything but the confederation segments (RFC 6793 §4.2.2).
    pub(super) fn to_as4_path(&self) -> Option<Self> {
        if self.asns().all(|asn| u16::try_from(asn.0).is_ok()) {
            return None;
        }
        let path = Self(self.0.iter().filter(|segment| !segment.is_confederation()).cloned().collect());
        if path.0.is_empty() { None } else { Some(path) }
    }

    /// Rebuilds the real path out of AS_PATH (`self`) and AS4_PATH from a two-octet speaker
    /// (RFC 6793 §4.2.3).
    ///
    /// An AS4_PATH longer than the path is ignored. Else the leading part of AS_PATH that AS4_PATH lacks,
    /// confederation segments at its edge included, goes before AS4_PATH. Two sequences that meet there
    /// become one, as they were before the two-octet speaker prepended itself.
    pub(super) fn merge_as4_path(self, as4_path: Self) -> Self {
        let Some(mut missing) = self.length().checked_sub(as4_path.length()) else { return self };
        let mut merged = Self::default();
        for segment in self.0 {
            match segment {
                Segment::ConfedSequence(_) | Segment::ConfedSet(_) => merged.0.push(segment),
                Segment::Set(_) if missing > 0 => {
                    merged.0.push(segment);
                    missing -= 1;
                }
                Segment::Sequence(asns) if missing >= asns.len() => {
                    missing -= asns.len();
                    merged.0.push(Segment::Sequence(asns));
                }
                Segment::Sequence(mut asns) if missing > 0 => {
                    asns.truncate(missing);
                    merged.0.push(Segment::Sequence(asns));
                    break;
                }
                Segment::Set(_) | Segment::Sequence(_) => break,
            }
        }
        let mut tail = as4_path.0.into_iter();
        if let Some(Segment::Sequence(left)) = merged.0.last_mut() {
            match tail.next() {
                Some(Segment::Sequence(right)) if left.len() + right.len() <= MAX_SEGMENT_LEN => {
                    left.extend(right);
                }
                Some(other) => merged.0.push(other),
                None => {}
            }
        }
        merged.0.extend(tail);
        merged
    }

    /// Drops confederation segments, as a receiver of AS4_PATH must (RFC 6793 §3).
    pub(super) fn without_confederation(mut self) -> Self {
        self.0.retain(|segment| !segment.is_confederation());
        self
    }
}

impl fmt::Display for AsPath {
    /// `65001 64512 {1 2}`; confederation sequences as `(65001)`, confederation sets as `[65001]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, segment) in self.0.iter().enumerate() {
            write!(f, "{}{segment}", if at == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}
