//! OPEN (RFC 4271 §4.2) with its capabilities (RFC 5492, long form RFC 9072).

use std::net::Ipv4Addr;

use bytes::{BufMut, Bytes, BytesMut};
use nom::multi::length_data;
use nom::number::complete::{be_u8, be_u16, be_u32};
use nom::{IResult, Parser as _};
use serde::{Deserialize, Serialize};

use super::frame::{HEADER_LEN, MAX_LEN};
use super::{Capability, DecodeError, EncodeError, ErrorSubcode};
use crate::{Asn, RouterId};

const VERSION: u8 = 4;
/// Optional parameter type: Capabilities (RFC 5492 §4).
const CAPABILITIES: u8 = 2;
/// In the places of length and type: the extended form of RFC 9072 follows.
const EXTENDED: u8 = 255;

/// A decoded OPEN. Version is always 4.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenMessage {
    /// The two-octet "My Autonomous System" field; [`OpenMessage::asn`] is the number that counts.
    pub my_as: u16,
    /// Proposed hold time in seconds: 0 (none) or at least 3.
    pub hold_time_secs: u16,
    /// The sender's identifier, never 0.
    pub router_id: RouterId,
    /// Everything in the Capabilities optional parameters, in order.
    pub capabilities: Vec<Capability>,
}

impl OpenMessage {
    /// The sender's AS: from the four-octet capability if there, else the two-octet field.
    #[must_use]
    pub fn asn(&self) -> Asn {
        self.four_octet_asn().unwrap_or(Asn(u32::from(self.my_as)))
    }

    fn four_octet_asn(&self) -> Option<Asn> {
        self.capabilities.iter().find_map(|capability| match capability {
            Capability::FourOctetAs(asn) => Some(*asn),
            Capability::Multiprotocol(_)
            | Capability::RouteRefresh
            | Capability::ExtendedNextHop(_)
            | Capability::ExtendedMessage
            | Capability::Role(_)
            | Capability::GracefulRestart(_)
            | Capability::AddPath(_)
            | Capability::EnhancedRouteRefresh
            | Capability::Unknown { .. } => None,
        })
    }

    /// Checks in the order of RFC 4271 §6.2; the version comes first because another version may have
    /// another layout.
    pub(super) fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        let too_short = |_| DecodeError::new(ErrorSubcode::OPEN_UNSPECIFIC, "the OPEN is cut short");
        let (rest, version) = be_u8::<_, ()>(body.as_ref()).map_err(too_short)?;
        if version != VERSION {
            return Err(DecodeError::with_data(
                ErrorSubcode::UNSUPPORTED_VERSION_NUMBER,
                Bytes::copy_from_slice(&u16::from(VERSION).to_be_bytes()),
                format!("BGP version {version} is not supported, only {VERSION}"),
            ));
        }
        let (rest, (my_as, hold_time_secs, router_id)) =
            (be_u16::<_, ()>, be_u16, be_u32).parse(rest).map_err(too_short)?;
        let open = Self {
            my_as,
            hold_time_secs,
            router_id: RouterId(Ipv4Addr::from(router_id)),
            capabilities: decode_optional_parameters(rest)?,
        };
        open.check()?;
        Ok(open)
    }

    fn check(&self) -> Result<(), DecodeError> {
        // RFC 7607 §2, for both places in which the number can stand.
        if self.my_as == 0 || self.four_octet_asn() == Some(Asn(0)) {
            return Err(DecodeError::new(ErrorSubcode::BAD_PEER_AS, "the peer's AS number is 0"));
        }
        if matches!(self.hold_time_secs, 1 | 2) {
            return Err(DecodeError::new(
                ErrorSubcode::UNACCEPTABLE_HOLD_TIME,
                format!("hold time {} s is neither 0 nor at least 3", self.hold_time_secs),
            ));
        }
        // RFC 6286 §2.1: any number but zero.
        if self.router_id.0.is_unspecified() {
            return Err(DecodeError::new(ErrorSubcode::BAD_BGP_IDENTIFIER, "the BGP Identifier is 0.0.0.0"));
        }
        Ok(())
    }

    /// All capabilities go into one parameter (RFC 5492 §4); the form of RFC 9072 only where it is needed.
    pub(super) fn encode(&self, body: &mut BytesMut) -> Result<(), EncodeError> {
        let mut capabilities = BytesMut::new();
        for capability in &self.capabilities {
            capability.encode(&mut capabilities)?;
        }
        body.put_u8(VERSION);
        body.put_u16(self.my_as);
        body.put_u16(self.hold_time_secs);
        body.put_u32(self.router_id.0.to_bits());
        if capabilities.is_empty() {
            body.put_u8(0);
        } else if let (Ok(parameters_len), Ok(capabilities_len)) =
            (u8::try_from(2 + capabilities.len()), u8::try_from(capabilities.len()))
        {
            body.put_u8(parameters_len);
            body.put_u8(CAPABILITIES);
            body.put_u8(capabilities_len);
        } else if let (Ok(parameters_len), Ok(capabilities_len)) =
            (u16::try_from(3 + capabilities.len()), u16::try_from(capabilities.len()))
        {
            body.put_u8(EXTENDED);
            body.put_u8(EXTENDED);
            body.put_u16(parameters_len);
            body.put_u8(CAPABILITIES);
            body.put_u16(capabilities_len);
        } else {
            return Err(EncodeError::TooLong { len: HEADER_LEN + 10 + capabilities.len(), max: MAX_LEN });
        }
        body.put_slice(&capabilities);
        Ok(())
    }
}

/// From the one-octet length on to the end of the message.
fn decode_optional_parameters(input: &[u8]) -> Result<Vec<Capability>, DecodeError> {
    let malformed = |reason: String| DecodeError::new(ErrorSubcode::OPEN_UNSPECIFIC, reason);
    let (extended, len, parameters) = optional_parameters(input)
        .map(|(_, found)| found)
        .map_err(|_| malformed("the OPEN ends inside the length of its optional parameters".to_owned()))?;
    if len != parameters.len() {
        return Err(malformed(format!(
            "the optional parameters take {} octets, their length field says {len}",
            parameters.len()
        )));
    }
    let mut capabilities = Vec::new();
    let mut rest = parameters;
    while !rest.is_empty() {
        let (after, (kind, value)) = if extended {
            (be_u8::<_, ()>, length_data(be_u16)).parse(rest)
        } else {
            (be_u8, length_data(be_u8)).parse(rest)
        }
        .map_err(|_| malformed(format!("an optional parameter overruns: {}", super::error::hex(rest))))?;
        if kind != CAPABILITIES {
            return Err(DecodeError::new(
                ErrorSubcode::UNSUPPORTED_OPTIONAL_PARAMETER,
                format!("optional parameter type {kind} is not supported"),
            ));
        }
        decode_capabilities(value, &mut capabilities).map_err(malformed)?;
        rest = after;
    }
    Ok(capabilities)
}

/// Which form, the length it claims, and what is there. RFC 9072 §2: the extended form is told by a type of
/// 255 in first place, whatever the non-zero one-octet length before it.
fn optional_parameters(input: &[u8]) -> IResult<&[u8], (bool, usize, &[u8]), ()> {
    let (parameters, len) = be_u8(input)?;
    if len != 0 && parameters.first() == Some(&EXTENDED) {
        let (parameters, (_, len)) = (be_u8, be_u16).parse(parameters)?;
        return Ok((&[], (true, usize::from(len), parameters)));
    }
    Ok((&[], (false, usize::from(len), parameters)))
}

fn decode_capabilities(mut value: &[u8], capabilities: &mut Vec<Capability>) -> Result<(), String> {
    while !value.is_empty() {
        let (rest, (code, data)) = (be_u8::<_, ()>, length_data(be_u8))
            .parse(value)
            .map_err(|_| format!("a capability overruns its parameter: {}", super::error::hex(value)))?;
        capabilities.push(Capability::decode(code, data)?);
        value = rest;
    }
    Ok(())
}
