//! UPDATE: bytes to a value, under the rules of RFC 7606.
//!
//! The rule that shapes the code: as long as every NLRI can be found, an error costs at most the routes of
//! this message (§2 treat-as-withdraw); where NLRI may have been lost, it costs the session (§3 j, §5.2).

use std::net::{Ipv4Addr, Ipv6Addr};

use bytes::Bytes;
use nom::bytes::complete::take;
use nom::combinator::consumed;
use nom::multi::length_data;
use nom::number::complete::{be_u8, be_u16};
use nom::{IResult, Parser as _};

use super::{DecodedUpdate, Reach, Unreach, Update};
use crate::types::PeerKind;
use crate::wire::attr::read::{Incoming, Malformed};
use crate::wire::attr::table::{OnError, Row, TakenFrom, code, flag, row};
use crate::wire::error::hex;
use crate::wire::{
    AttributeAction, AttributeError, DecodeContext, DecodeError, ErrorSubcode, NextHop, RawAttribute, nlri,
};
use crate::{AfiSafi, Asn};

/// Decodes what follows the header of an UPDATE.
pub(in crate::wire) fn decode(body: &Bytes, context: &DecodeContext) -> Result<DecodedUpdate, DecodeError> {
    // RFC 7606 §3 a: lengths that exceed the message leave nothing to rely on.
    let (announced, (withdrawn, list)) =
        (length_data(be_u16::<_, ()>), length_data(be_u16)).parse(body.as_ref()).map_err(|_| {
            DecodeError::new(
                ErrorSubcode::MALFORMED_ATTRIBUTE_LIST,
                format!("the withdrawn routes or the attributes overrun the UPDATE of {} octets", body.len()),
            )
        })?;
    if withdrawn.is_empty() && list.is_empty() && announced.is_empty() {
        return Ok(end_of_rib(AfiSafi::IPV4_UNICAST));
    }

    let mut attributes = AttributeList::default();
    attributes.read(list, context)?;
    if withdrawn.is_empty()
        && announced.is_empty()
        && let Some(family) = attributes.end_of_rib()
    {
        return Ok(end_of_rib(family));
    }

    let withdrawn = decode_classic_nlri(withdrawn, "Withdrawn Routes", context)?;
    let announced = decode_classic_nlri(announced, "NLRI", context)?;
    attributes.check(!announced.is_empty())?;
    Ok(attributes.finish(withdrawn, announced))
}

fn end_of_rib(family: AfiSafi) -> DecodedUpdate {
    let update = Update { end_of_rib: Some(family), ..Update::default() };
    DecodedUpdate { update, errors: Vec::new() }
}

/// RFC 7606 §5.3: both fields of RFC 4271 are checked alike, and an error in them is not survivable.
fn decode_classic_nlri(
    field: &[u8],
    name: &str,
    context: &DecodeContext,
) -> Result<Vec<crate::Nlri>, DecodeError> {
    let family = AfiSafi::IPV4_UNICAST;
    nlri::decode(field, family, context.add_path_receive.contains(&family))
        .map_err(|reason| DecodeError::new(ErrorSubcode::INVALID_NETWORK_FIELD, format!("{name}: {reason}")))
}

/// The attributes of one UPDATE, and what was wrong with them.
#[derive(Default)]
struct AttributeList {
    incoming: Incoming,
    /// Type codes seen, in order, each once.
    codes: Vec<u8>,
    errors: Vec<AttributeError>,
    /// The first error for which the routes are to be treated as withdrawn, as the session reset that it
    /// becomes where there are no routes (RFC 7606 §5.2).
    withdraw: Option<DecodeError>,
}

/// One attribute as it stands in the list.
struct Tlv<'a> {
    flags: u8,
    code: u8,
    value: &'a [u8],
    /// Flags, code, length and value: what a NOTIFICATION carries back.
    octets: &'a [u8],
}

impl AttributeList {
    fn read(&mut self, mut list: &[u8], context: &DecodeContext) -> Result<(), DecodeError> {
        while !list.is_empty() {
            let Ok((rest, (octets, (flags, code, value)))) = consumed(attribute).parse(list) else {
                return self.overrun(list);
            };
            self.read_attribute(&Tlv { flags, code, value, octets }, context)?;
            list = rest;
        }
        Ok(())
    }

    /// RFC 7606 §4: the list ends inside an attribute. The NLRI field is found by the length of the list, so
    /// the session goes on, unless the attribute is one that holds NLRI itself (§3 j).
    fn overrun(&mut self, list: &[u8]) -> Result<(), DecodeError> {
        let code = list.get(1).copied().unwrap_or_default();
        let reason = format!("the attribute list ends inside attribute {code}: {}", hex(list));
        let reset = |reason| DecodeError::new(ErrorSubcode::MALFORMED_ATTRIBUTE_LIST, reason);
        if matches!(code, code::MP_REACH_NLRI | code::MP_UNREACH_NLRI) {
            return Err(reset(reason));
        }
        self.fail(code, reason, reset);
        Ok(())
    }

    fn read_attribute(&mut self, tlv: &Tlv<'_>, context: &DecodeContext) -> Result<(), DecodeError> {
        if self.codes.contains(&tlv.code) {
            return self.repeated(tlv.code);
        }
        self.codes.push(tlv.code);
        match row(tlv.code) {
            Some(row) => self.read_known(row, tlv, context),
            None => self.read_unknown(tlv),
        }
    }

    /// RFC 7606 §3 g.
    fn repeated(&mut self, code: u8) -> Result<(), DecodeError> {
        if matches!(code, code::MP_REACH_NLRI | code::MP_UNREACH_NLRI) {
            return Err(DecodeError::new(
                ErrorSubcode::MALFORMED_ATTRIBUTE_LIST,
                format!("{} appears twice", name(code)),
            ));
        }
        let reason = format!("{} appears more than once, the first counts", name(code));
        // Reported once, so that the report cannot outgrow the message.
        if !self.errors.iter().any(|error| error.code == code && error.reason == reason) {
            self.errors.push(AttributeError { code, action: AttributeAction::Discard, reason });
        }
        Ok(())
    }

    fn read_known(&mut self, row: &Row, tlv: &Tlv<'_>, context: &DecodeContext) -> Result<(), DecodeError> {
        let why_discard = match row.taken_from {
            TakenFrom::InternalPeers if context.kind == PeerKind::Ebgp => Some("an external peer"),
            TakenFrom::TwoOctetSpeakers if context.four_octet_as => Some("a four-octet speaker"),
            TakenFrom::Anyone | TakenFrom::InternalPeers | TakenFrom::TwoOctetSpeakers => None,
        };
        if let Some(sender) = why_discard {
            self.discard(row.code, format!("{} from {sender} means nothing", row.name));
            return Ok(());
        }

        // RFC 7606 §3 c; the Partial bit is not looked at.
        let flags = tlv.flags & (flag::OPTIONAL | flag::TRANSITIVE);
        if flags != row.flags {
            let reason = format!("{} has flags {:#04x} instead of {:#04x}", row.name, flags, row.flags);
            self.fail(row.code, reason, |reason| {
                DecodeError::with_data(ErrorSubcode::ATTRIBUTE_FLAGS_ERROR, copied(tlv.octets), reason)
            });
            match row.on_error {
                // The routes that are to be withdrawn are in it.
                OnError::Reset => {}
                OnError::Discard | OnError::TreatAsWithdraw => return Ok(()),
            }
        }

        let Err(Malformed { error, reason }) = (row.read)(&mut self.incoming, tlv.value, context) else {
            return Ok(());
        };
        let reason = format!("{}: {reason}", row.name);
        let reset = |reason| {
            // RFC 4271 §6.3 gives Malformed AS_PATH no data, the others the attribute.
            if error == ErrorSubcode::MALFORMED_AS_PATH {
                DecodeError::new(error, reason)
            } else {
                DecodeError::with_data(error, copied(tlv.octets), reason)
            }
        };
        match row.on_error {
            OnError::Reset => Err(reset(reason)),
            OnError::Discard => {
                self.discard(row.code, reason);
                Ok(())
            }
            OnError::TreatAsWithdraw => {
                self.fail(row.code, reason, reset);
                Ok(())
            }
        }
    }

    /// RFC 4271 §5, §6.3 and §9: by its flags alone.
    fn read_unknown(&mut self, tlv: &Tlv<'_>) -> Result<(), DecodeError> {
        if tlv.flags & flag::OPTIONAL == 0 {
            return Err(DecodeError::with_data(
                ErrorSubcode::UNRECOGNIZED_WELL_KNOWN_ATTRIBUTE,
                copied(tlv.octets),
                format!("well-known attribute {} is not known", tlv.code),
            ));
        }
        if tlv.flags & flag::TRANSITIVE != 0 {
            self.incoming.attributes.unknown.push(RawAttribute {
                flags: flag::OPTIONAL | flag::TRANSITIVE | flag::PARTIAL,
                code: tlv.code,
                // Copied: a slice would keep the receive buffer alive for as long as the route lives.
                value: copied(tlv.value),
            });
        }
        Ok(())
    }

    /// RFC 4724 §2: MP_UNREACH_NLRI without NLRI, and nothing else.
    fn end_of_rib(&self) -> Option<AfiSafi> {
        let unreach = self.incoming.mp_unreach.as_ref()?;
        let alone = self.codes == [code::MP_UNREACH_NLRI] && self.errors.is_empty();
        (alone && unreach.is_empty && unreach.family.is_supported()).then_some(unreach.family)
    }

    /// What can be said only when the whole list has been read.
    fn check(&mut self, announces_classic: bool) -> Result<(), DecodeError> {
        let announces_mp = self.incoming.mp_reach.as_ref().is_some_and(|reach| reach.announces);
        if announces_classic || announces_mp {
            // RFC 7606 §3 d. LOCAL_PREF is not demanded of internal peers: the decision has a default.
            self.require(code::ORIGIN);
            self.require(code::AS_PATH);
        }
        if announces_classic {
            self.require(code::NEXT_HOP);
            if let Some(next_hop) = self.incoming.next_hop {
                self.check_next_hop(code::NEXT_HOP, NextHop::V4(next_hop));
            }
        }
        if announces_mp
            && let Some(next_hop) = self.incoming.mp_reach.as_ref().and_then(|reach| reach.next_hop)
        {
            self.check_next_hop(code::MP_REACH_NLRI, next_hop);
        }
        // RFC 7606 §5.2: attributes, but no routes they could belong to. The NLRI may be what was lost.
        let about_routes = self.codes.iter().any(|code| *code != code::MP_UNREACH_NLRI)
            || self.errors.iter().any(|error| error.code != code::MP_UNREACH_NLRI);
        match self.withdraw.take() {
            Some(reset) if !announces_classic && !announces_mp && about_routes => Err(reset),
            withdraw => {
                self.withdraw = withdraw;
                Ok(())
            }
        }
    }

    fn require(&mut self, code: u8) {
        if !self.codes.contains(&code) {
            self.fail(code, format!("{} is missing", name(code)), |reason| {
                DecodeError::with_data(ErrorSubcode::MISSING_WELL_KNOWN_ATTRIBUTE, copied(&[code]), reason)
            });
        }
    }

    /// RFC 4271 §6.3: a valid host's address. Whether it can be reached is for the resolver to say.
    fn check_next_hop(&mut self, code: u8, next_hop: NextHop) {
        let is_host = match next_hop {
            NextHop::V4(addr) => !matches!(addr.octets(), [0 | 224..=239, ..]) && addr != Ipv4Addr::BROADCAST,
            NextHop::V6 { global, .. } => global != Ipv6Addr::UNSPECIFIED && !global.is_multicast(),
        };
        if !is_host {
            self.fail(code, format!("{}: {next_hop} is not the address of a host", name(code)), |reason| {
                DecodeError::new(ErrorSubcode::INVALID_NEXT_HOP, reason)
            });
        }
    }

    fn finish(self, withdrawn: Vec<crate::Nlri>, announced: Vec<crate::Nlri>) -> DecodedUpdate {
        let Incoming { mut attributes, next_hop, mp_reach, mp_unreach, as4_path, as4_aggregator } =
            self.incoming;

        let mut unreach = vec![Unreach { family: AfiSafi::IPV4_UNICAST, nlri: withdrawn }];
        unreach.extend(mp_unreach.map(|mp| Unreach { family: mp.family, nlri: mp.nlri }));
        let mut reach = Vec::new();
        if self.withdraw.is_some() {
            unreach.push(Unreach { family: AfiSafi::IPV4_UNICAST, nlri: announced });
            unreach.extend(mp_reach.map(|mp| Unreach { family: mp.family, nlri: mp.nlri }));
        } else {
            // A next hop is there: it is required, and of MP_REACH_NLRI absent only where NLRI are.
            reach.extend(next_hop.map(|addr| Reach {
                family: AfiSafi::IPV4_UNICAST,
                next_hop: NextHop::V4(addr),
                nlri: announced,
            }));
            reach.extend(mp_reach.and_then(|mp| {
                mp.next_hop.map(|next_hop| Reach { family: mp.family, next_hop, nlri: mp.nlri })
            }));
        }
        unreach.retain(|unreach| !unreach.nlri.is_empty());
        reach.retain(|reach| !reach.nlri.is_empty());

        if reach.is_empty() {
            attributes = crate::wire::PathAttributes::default();
        } else {
            attributes.unknown.sort_by_key(|raw| raw.code);
            merge_four_octet(&mut attributes, as4_path, as4_aggregator);
        }
        DecodedUpdate { update: Update { attributes, reach, unreach, end_of_rib: None }, errors: self.errors }
    }

    fn discard(&mut self, code: u8, reason: String) {
        self.errors.push(AttributeError { code, action: AttributeAction::Discard, reason });
    }

    fn fail(&mut self, code: u8, reason: String, reset: impl FnOnce(String) -> DecodeError) {
        if self.withdraw.is_none() {
            self.withdraw = Some(reset(reason.clone()));
        }
        self.errors.push(AttributeError { code, action: AttributeAction::TreatAsWithdraw, reason });
    }
}

/// RFC 6793 §4.2.3. AS4_AGGREGATOR beside an AGGREGATOR that is not AS_TRANS shows that a two-octet speaker
/// aggregated after the AS4 attributes were written: then neither of them counts.
fn merge_four_octet(
    attributes: &mut crate::wire::PathAttributes,
    as4_path: Option<crate::wire::AsPath>,
    as4_aggregator: Option<crate::wire::Aggregator>,
) {
    match (&mut attributes.aggregator, as4_aggregator) {
        (Some(aggregator), Some(_)) if aggregator.asn != Asn::TRANS => return,
        (Some(aggregator), Some(as4_aggregator)) => *aggregator = as4_aggregator,
        (Some(_), None) | (None, Some(_) | None) => {}
    }
    if let Some(as4_path) = as4_path {
        attributes.as_path = std::mem::take(&mut attributes.as_path).merge_as4_path(as4_path);
    }
}

/// Flags, code and value; the length has two octets where the flags say so (RFC 4271 §4.3).
fn attribute(input: &[u8]) -> IResult<&[u8], (u8, u8, &[u8]), ()> {
    let (input, (flags, code)) = (be_u8, be_u8).parse(input)?;
    let (input, len) =
        if flags & flag::EXTENDED_LENGTH == 0 { be_u8.map(u16::from).parse(input)? } else { be_u16(input)? };
    let (input, value) = take(len).parse(input)?;
    Ok((input, (flags, code, value)))
}

fn name(code: u8) -> String {
    row(code).map_or_else(|| format!("attribute {code}"), |row| row.name.to_owned())
}

fn copied(octets: &[u8]) -> Bytes {
    Bytes::copy_from_slice(octets)
}
