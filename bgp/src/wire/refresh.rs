//! ROUTE-REFRESH (RFC 2918, demarcation RFC 7313).

use bytes::{BufMut, Bytes, BytesMut};
use nom::Parser as _;
use nom::number::complete::{be_u8, be_u16};
use serde::{Deserialize, Serialize};

use super::frame::{HEADER_LEN, MessageType, bad_length, put_header};
use super::{DecodeError, ErrorSubcode};
use crate::AfiSafi;

/// AFI, subtype, SAFI.
const BODY_LEN: usize = 4;

/// The octet that RFC 2918 called reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefreshSubtype {
    /// 0: please send again.
    Request,
    /// 1: beginning of route refresh.
    Begin,
    /// 2: end of route refresh.
    End,
    /// Others are to be ignored (RFC 7313 §5).
    Unknown(u8),
}

impl RefreshSubtype {
    fn from_octet(octet: u8) -> Self {
        match octet {
            0 => Self::Request,
            1 => Self::Begin,
            2 => Self::End,
            other => Self::Unknown(other),
        }
    }

    fn to_octet(self) -> u8 {
        match self {
            Self::Request => 0,
            Self::Begin => 1,
            Self::End => 2,
            Self::Unknown(other) => other,
        }
    }
}

/// A ROUTE-REFRESH message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteRefresh {
    /// The family asked for.
    pub family: AfiSafi,
    /// What is meant.
    pub subtype: RefreshSubtype,
}

impl RouteRefresh {
    /// `frame` is the whole message: RFC 7313 §5 wants it back with the error.
    pub(super) fn decode(frame: &Bytes, body: &Bytes) -> Result<Self, DecodeError> {
        let bad = || bad_length(frame.len(), "is not the 23 of a ROUTE-REFRESH");
        let subtype = RefreshSubtype::from_octet(*body.get(2).ok_or_else(bad)?);
        if body.len() != BODY_LEN {
            match subtype {
                RefreshSubtype::Begin | RefreshSubtype::End => {
                    return Err(DecodeError::with_data(
                        ErrorSubcode::ROUTE_REFRESH_INVALID_LENGTH,
                        frame.clone(),
                        format!(
                            "a ROUTE-REFRESH {subtype:?} has a body of {} octets instead of {BODY_LEN}",
                            body.len()
                        ),
                    ));
                }
                // Longer ones carry outbound route filters (RFC 5291), which we never offer.
                RefreshSubtype::Request => return Err(bad()),
                // Whatever follows belongs to the subtype, and that is to be ignored.
                RefreshSubtype::Unknown(_) => {}
            }
        }
        let (_, (afi, _, safi)) = (be_u16::<_, ()>, be_u8, be_u8).parse(body.as_ref()).map_err(|_| bad())?;
        Ok(Self { family: AfiSafi { afi, safi }, subtype })
    }

    /// The whole message, the same on every session.
    #[must_use]
    pub fn to_message(self) -> Bytes {
        let mut frame = BytesMut::new();
        put_header(&mut frame, HEADER_LEN + BODY_LEN, MessageType::RouteRefresh);
        self.encode(&mut frame);
        frame.freeze()
    }

    pub(super) fn encode(&self, body: &mut BytesMut) {
        body.reserve(HEADER_LEN + BODY_LEN);
        body.put_u16(self.family.afi);
        body.put_u8(self.subtype.to_octet());
        body.put_u8(self.family.safi);
    }
}
