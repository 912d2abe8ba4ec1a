//! What a next hop is asked for by: its address, and for a link-local one the interface it is on. `fe80::1` on two
//! interfaces is two next hops. An interface goes by its name: the index is another one when it comes back. The
//! same words as the speaker's, which this crate does not know.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of a network interface: 1 to 15 octets, as Linux has it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InterfaceName([u8; InterfaceName::OCTETS_MAX]);

/// Why a text is not an [`InterfaceName`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not the name of an interface: write 1 to 15 octets without spaces, '/', ':' and '%'")]
pub struct ParseInterfaceNameError(String);

impl InterfaceName {
    /// The longest name (`IFNAMSIZ` less the NUL).
    pub const OCTETS_MAX: usize = 15;

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let end = self.0.iter().position(|octet| *octet == 0).unwrap_or(Self::OCTETS_MAX);
        self.0.get(..end).and_then(|octets| std::str::from_utf8(octets).ok()).unwrap_or_default()
    }
}

impl FromStr for InterfaceName {
    type Err = ParseInterfaceNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | ':' | '%');
        let usable = (1..=Self::OCTETS_MAX).contains(&text.len()) && !matches!(text, "." | "..");
        if !usable || text.contains(is_odd) {
            return Err(ParseInterfaceNameError(text.chars().take(64).collect()));
        }
        let mut octets = [0; Self::OCTETS_MAX];
        octets.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
        Ok(Self(octets))
    }
}

impl TryFrom<String> for InterfaceName {
    type Error = ParseInterfaceNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<InterfaceName> for String {
    fn from(name: InterfaceName) -> Self {
        name.as_str().to_owned()
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

/// What a next hop is resolved and tracked by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NextHopKey {
    /// The address packets go to.
    pub address: IpAddr,
    /// Where it is. `None`: where routes lead; for a link-local address the only link it can be on.
    pub interface: Option<InterfaceName>,
}

/// Why a text is not a [`NextHopKey`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a next hop: write 192.0.2.1, 2001:db8::1 or fe80::1%eth0")]
pub struct ParseNextHopKeyError(String);

impl From<IpAddr> for NextHopKey {
    fn from(address: IpAddr) -> Self {
        Self { address, interface: None }
    }
}

impl FromStr for NextHopKey {
    type Err = ParseNextHopKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseNextHopKeyError(text.chars().take(64).collect());
        let (address, interface) = match text.split_once('%') {
            Some((address, interface)) => (address, Some(interface.parse().map_err(|_| error())?)),
            None => (text, None),
        };
        Ok(Self { address: address.parse().map_err(|_| error())?, interface })
    }
}

impl TryFrom<String> for NextHopKey {
    type Error = ParseNextHopKeyError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<NextHopKey> for String {
    fn from(key: NextHopKey) -> Self {
        key.to_string()
    }
}

impl fmt::Display for NextHopKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.interface {
            Some(interface) => write!(f, "{}%{interface}", self.address),
            None => self.address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_on_two_interfaces_is_two_next_hops() {
        let key = |text: &str| text.parse::<NextHopKey>().unwrap();
        assert_ne!(key("fe80::1%eth0"), key("fe80::1%eth1"));
        assert_ne!(key("fe80::1%eth0"), key("fe80::1"));
        for text in ["fe80::1%eth0", "192.0.2.1", "2001:db8::1", "fe80::1%abcdefghijklmno"] {
            assert_eq!(key(text).to_string(), text);
        }
    }

    #[test]
    fn names_that_the_kernel_refuses_are_refused() {
        for text in ["", ".", "..", "a b", "a/b", "a:b", "a%b", "abcdefghijklmnop"] {
            assert!(text.parse::<InterfaceName>().is_err(), "{text:?}");
        }
    }
}
