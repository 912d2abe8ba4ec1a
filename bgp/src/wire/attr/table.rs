//! The table of path attributes: one row says an attribute's code, flags, reader, writer, from whom it is
//! taken, and what an error in it means (RFC 7606 §7). A new attribute is a new row.

use bytes::BytesMut;

use super::read::{self, Incoming, Malformed};
use super::write::{self, Outgoing};
use crate::wire::DecodeContext;

/// Attribute flags (RFC 4271 §4.3).
pub(in crate::wire) mod flag {
    pub(in crate::wire) const OPTIONAL: u8 = 0x80;
    pub(in crate::wire) const TRANSITIVE: u8 = 0x40;
    pub(in crate::wire) const PARTIAL: u8 = 0x20;
    pub(in crate::wire) const EXTENDED_LENGTH: u8 = 0x10;
}

/// Attribute type codes (IANA "BGP Path Attributes").
pub(in crate::wire) mod code {
    pub(in crate::wire) const ORIGIN: u8 = 1;
    pub(in crate::wire) const AS_PATH: u8 = 2;
    pub(in crate::wire) const NEXT_HOP: u8 = 3;
    pub(in crate::wire) const MULTI_EXIT_DISC: u8 = 4;
    pub(in crate::wire) const LOCAL_PREF: u8 = 5;
    pub(in crate::wire) const ATOMIC_AGGREGATE: u8 = 6;
    pub(in crate::wire) const AGGREGATOR: u8 = 7;
    pub(in crate::wire) const COMMUNITIES: u8 = 8;
    pub(in crate::wire) const ORIGINATOR_ID: u8 = 9;
    pub(in crate::wire) const CLUSTER_LIST: u8 = 10;
    pub(in crate::wire) const MP_REACH_NLRI: u8 = 14;
    pub(in crate::wire) const MP_UNREACH_NLRI: u8 = 15;
    pub(in crate::wire) const EXTENDED_COMMUNITIES: u8 = 16;
    pub(in crate::wire) const AS4_PATH: u8 = 17;
    pub(in crate::wire) const AS4_AGGREGATOR: u8 = 18;
    pub(in crate::wire) const LARGE_COMMUNITY: u8 = 32;
    pub(in crate::wire) const ONLY_TO_CUSTOMER: u8 = 35;
}

/// What an error in the value of an attribute means (RFC 7606 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::wire) enum OnError {
    Discard,
    TreatAsWithdraw,
    Reset,
}

/// From whom an attribute is taken; from anyone else it is discarded unread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::wire) enum TakenFrom {
    Anyone,
    /// RFC 7606 §7.5, §7.9, §7.10.
    InternalPeers,
    /// RFC 6793 §4.1: meaningless between two four-octet speakers.
    TwoOctetSpeakers,
}

type Read = fn(&mut Incoming, &[u8], &DecodeContext) -> Result<(), Malformed>;
/// Writes the value; `false` where the path does not carry the attribute.
type Write = fn(&Outgoing<'_>, &mut BytesMut) -> bool;

/// One attribute.
pub(in crate::wire) struct Row {
    pub(in crate::wire) code: u8,
    pub(in crate::wire) name: &'static str,
    /// The Optional and Transitive bits it must have.
    pub(in crate::wire) flags: u8,
    pub(in crate::wire) taken_from: TakenFrom,
    pub(in crate::wire) on_error: OnError,
    pub(in crate::wire) read: Read,
    pub(in crate::wire) write: Write,
}

/// The row of a type code.
pub(in crate::wire) fn row(code: u8) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.code == code)
}

const WELL_KNOWN: u8 = flag::TRANSITIVE;
const OPTIONAL: u8 = flag::OPTIONAL;
const OPTIONAL_TRANSITIVE: u8 = flag::OPTIONAL | flag::TRANSITIVE;

/// In ascending order of code, which is the order in which they are written.
pub(in crate::wire) static TABLE: [Row; 17] = [
    Row {
        code: code::ORIGIN,
        name: "ORIGIN",
        flags: WELL_KNOWN,
        taken_from: TakenFrom::Anyone,
        on_error: OnError::TreatAsWithdraw,
        read: read::origin,
        write: write::origin,
    },
    Row {
        code: code::AS_PATH,
        name: "AS_PATH",
        flags: WELL_KNOWN,
        taken_from: TakenFrom::Anyone,
        on_error: OnError::TreatAsWithdraw,
        read: read::as_path,
        write: write::as_path,
    },
    Row {
        code: code::NEXT_HOP,
        name: "NEXT_HOP",
        flags: WELL_KNOWN,
        taken_from: TakenFrom::Anyone,
        on_error: OnError::TreatAsWithdraw,
        read: read::next_hop,
        write: write::next_hop,
    },
    Row {
        code: code::MULTI_EXIT_DISC,
        name: "MULTI_EXIT_DISC",
        flags: OPTIONAL,
        taken_from: TakenFrom::Anyone,
        on_error: OnError::TreatAsWithdraw,
        read: read::med,
        write: write::med,
    },
    Row {
        code: code::LOCAL_PREF,
        name: "LOCAL_PREF",
        flags: WELL_KNOWN,
        taken_from: TakenFrom::InternalPeers,
        on_error: OnError::TreatAsWithdraw,
        read: read::local_pref,
        write: write::local_pref,
    },
    Row {
        code: code::ATOMIC_AGGREGATE,
        name: "ATOMIC_AGGREGATE",
        flags: WELL_KNOWN,
        taken_from: TakenFrom::Anyone,
        on_error: OnError::Discard,
        read: read::atomic_aggregate,
        write: write::atomic_aggregate,
    },
    Row {
        code: code::AGGREGATOR,
        name: "AGGREGATOR",
        flags: OPTIONAL_TRANSITIVE,
        taken_from: TakenFrom::Anyone,
        on_error: OnError::Discard,
        read: read::aggregator,
        write: write::aggregator,
    },
    Row {
        code: code::COMMUNITIES,
        name: "COMMUNITIES",
        flags: OPTIONAL_TRANSITIVE,
        taken_from: TakenFrom::Anyone,
        on_error: OnError::TreatAsWithdraw,
        read: read::communities,
        write: write::communities,
    },
    Row {
        code: code::ORIGINATOR_ID,
        name: "ORIGINATOR_ID",
        flags: OPTIONAL,
        taken_from: TakenFrom::InternalPeers,
        on_error: OnError::TreatAsWithdraw,
        read: read::originator_id,
        write: write::originator_id,
    },
    Row {
        code: code::CLUSTER_LIST,
        name: "CLUSTER_LIST",
        flags: OPTIONAL,
        taken_from: TakenFrom::InternalPeers,
        on_error: OnError::TreatAsWithdraw,
        read: read::cluster_list,
        write: write::cluster_list,
    },
    Row {
        code: code::MP_REACH_NLRI,
        name: "MP_REACH_NLRI",
        flags: OPTIONAL,
        taken_from: TakenFrom::Anyone,
        on_error: OnError::Reset,
        read: read::mp_reach,
        write: write::stands_first,
    },
    Row {
        code: code::MP_UNREACH_NLRI,
        name: "MP_UNREACH_NLRI",
        flags: OPTIONAL,
        taken_from: TakenFrom::Anyone,
        on_error: OnError::Reset,
        read: read::mp_unreach,
        write: write::stands_first,
    },
    Row {
        code: code::EXTENDED_COMMUNITIES,
        name: "EXTENDED COMMUNITIES",
        flags: OPTIONAL_TRANSITIVE,
        taken_from: TakenFrom::Anyone,
        on_error: OnError::TreatAsWithdraw,
        read: read::extended_communities,
        write: write::extended_communities,
    },
    Row {
        code: code::AS4_PATH,
        name: "AS4_PATH",
        flags: OPTIONAL_TRANSITIVE,
        taken_from: TakenFrom::TwoOctetSpeakers,
        on_error: OnError::Discard,
        read: read::as4_path,
        write: write::as4_path,
    },
    Row {
        code: code::AS4_AGGREGATOR,
        name: "AS4_AGGREGATOR",
        flags: OPTIONAL_TRANSITIVE,
        taken_from: TakenFrom::TwoOctetSpeakers,
        on_error: OnError::Discard,
        read: read::as4_aggregator,
        write: write::as4_aggregator,
    },
    Row {
        code: code::LARGE_COMMUNITY,
        name: "LARGE_COMMUNITY",
        flags: OPTIONAL_TRANSITIVE,
        taken_from: TakenFrom::Anyone,
        on_error: OnError::TreatAsWithdraw,
        read: read::large_communities,
        write: write::large_communities,
    },
    Row {
        code: code::ONLY_TO_CUSTOMER,
        name: "ONLY_TO_CUSTOMER",
        flags: OPTIONAL_TRANSITIVE,
        taken_from: TakenFrom::Anyone,
        // RFC 9234 §5.
        on_error: OnError::TreatAsWithdraw,
        read: read::only_to_customer,
        write: write::only_to_customer,
    },
];
