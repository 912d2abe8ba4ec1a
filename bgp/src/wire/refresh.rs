//! ROUTE-REFRESH (RFC 2918, demarcation RFC 7313).

use serde::{Deserialize, Serialize};

use crate::AfiSafi;

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

/// A ROUTE-REFRESH message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteRefresh {
    /// The family asked for.
    pub family: AfiSafi,
    /// What is meant.
    pub subtype: RefreshSubtype,
}
