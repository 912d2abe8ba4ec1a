//! As much of BGP's encoding as a load generator needs (RFC 4271 §4): OPEN, KEEPALIVE, UPDATEs ahead of time,
//! and taking a stream of messages apart. It is no codec of manx's, on purpose: it measures others with it too.

use anyhow::{Context, Result, ensure};

use super::prefix::Shape;

/// The longest message.
pub const MESSAGE_MAX: usize = 4096;
/// The header alone.
pub const HEADER: usize = 19;
/// The types.
pub const OPEN: u8 = 1;
/// RFC 4271 §4.3.
pub const UPDATE: u8 = 2;
/// RFC 4271 §4.5.
pub const NOTIFICATION: u8 = 3;
/// RFC 4271 §4.4.
pub const KEEPALIVE: u8 = 4;

/// An OPEN with IPv4 unicast, route refresh and four-octet AS numbers.
#[derive(Clone, Copy, Debug)]
pub struct Open {
    /// The AS.
    pub asn: u32,
    /// The router id.
    pub router_id: u32,
    /// Seconds.
    pub hold_time: u16,
    /// Graceful restart (RFC 4724) with this restart time, in seconds, forwarding preserved.
    pub restart_time: Option<u16>,
    /// The R bit: we have restarted.
    pub restarted: bool,
}

impl Open {
    /// The message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut capabilities = vec![1, 4, 0, 1, 0, 1, 2, 0, 65, 4];
        capabilities.extend(self.asn.to_be_bytes());
        if let Some(seconds) = self.restart_time {
            let flags = if self.restarted { 0x8000 } else { 0 };
            let [high, low] = (flags | (seconds & 0x0fff)).to_be_bytes();
            capabilities.extend([64, 6, high, low, 0, 1, 1, 0x80]);
        }
        let mut body = vec![4];
        // AS_TRANS (RFC 6793) stands for what does not fit.
        body.extend(u16::try_from(self.asn).unwrap_or(23_456).to_be_bytes());
        body.extend(self.hold_time.to_be_bytes());
        body.extend(self.router_id.to_be_bytes());
        let length = u8::try_from(capabilities.len()).unwrap_or(u8::MAX);
        body.extend([length + 2, 2, length]);
        body.extend(capabilities);
        message(OPEN, &body)
    }
}

/// A KEEPALIVE.
#[must_use]
pub fn keepalive() -> Vec<u8> {
    message(KEEPALIVE, &[])
}

/// End-of-RIB of IPv4 unicast (RFC 4724 §2): an empty UPDATE.
#[must_use]
pub fn end_of_rib() -> Vec<u8> {
    message(UPDATE, &[0, 0, 0, 0])
}

/// Any message.
#[must_use]
pub fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xff; 16];
    bytes.extend(u16::try_from(HEADER + body.len()).unwrap_or(u16::MAX).to_be_bytes());
    bytes.push(kind);
    bytes.extend(body);
    bytes
}

/// Appends the UPDATEs that announce these prefixes with these attributes, each as full as it gets.
pub fn announce(out: &mut Vec<u8>, shape: Shape, attributes: &[u8], numbers: &[u32]) {
    update(out, shape, &[], attributes, numbers);
}

/// Appends the UPDATEs that withdraw these prefixes.
pub fn withdraw(out: &mut Vec<u8>, shape: Shape, numbers: &[u32]) {
    update(out, shape, numbers, &[], &[]);
}

/// Appends UPDATEs with both; if one does not suffice, what is withdrawn goes first.
pub fn update(out: &mut Vec<u8>, shape: Shape, withdrawn: &[u32], attributes: &[u8], announced: &[u32]) {
    let mut withdrawn = withdrawn.iter().copied().peekable();
    let mut announced = announced.iter().copied().peekable();
    while withdrawn.peek().is_some() || announced.peek().is_some() {
        // Withdrawn length, attributes' length.
        let mut room = MESSAGE_MAX - HEADER - 4;
        let gone = fill(shape, &mut withdrawn, &mut room);
        let with_attributes = withdrawn.peek().is_none() && announced.peek().is_some();
        let attributes = if with_attributes && room > attributes.len() + 5 { attributes } else { &[] };
        room -= attributes.len();
        let here = if attributes.is_empty() { Vec::new() } else { fill(shape, &mut announced, &mut room) };
        let mut body = Vec::with_capacity(4 + gone.len() + attributes.len() + here.len());
        body.extend(u16::try_from(gone.len()).unwrap_or(u16::MAX).to_be_bytes());
        body.extend(gone);
        body.extend(u16::try_from(attributes.len()).unwrap_or(u16::MAX).to_be_bytes());
        body.extend(attributes);
        body.extend(here);
        out.extend(message(UPDATE, &body));
    }
}

fn fill(
    shape: Shape,
    numbers: &mut std::iter::Peekable<impl Iterator<Item = u32>>,
    room: &mut usize,
) -> Vec<u8> {
    let mut bytes = Vec::new();
    while *room >= bytes.len() + 5 {
        let Some(number) = numbers.next() else { break };
        shape.encode(number, &mut bytes);
    }
    *room -= bytes.len();
    bytes
}

/// The parts of an UPDATE's body: withdrawn routes, path attributes, NLRI.
#[must_use]
pub fn split_update(body: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (length, rest) = body.split_first_chunk::<2>()?;
    let (withdrawn, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let (attributes, nlri) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    Some((withdrawn, attributes, nlri))
}

/// A message's type and body, and what comes after it.
pub type Taken<'a> = (u8, &'a [u8], &'a [u8]);

/// Takes one whole message from the front. `None`: more bytes must come first.
///
/// # Errors
/// The header is no header, so the rest of the stream means nothing.
pub fn next_message(bytes: &[u8]) -> Result<Option<Taken<'_>>> {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else { return Ok(None) };
    let [.., high, low, kind] = *header;
    let length = usize::from(u16::from_be_bytes([high, low]));
    ensure!(header.starts_with(&[0xff; 16]), "a message without the marker");
    let body = length.checked_sub(HEADER).with_context(|| format!("a message of {length} octets"))?;
    Ok(rest.split_at_checked(body).map(|(body, rest)| (kind, body, rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_comes_apart_at_its_seams() {
        let mut stream = keepalive();
        stream.extend(end_of_rib());
        let (kind, body, rest) = next_message(&stream).unwrap().unwrap();
        assert_eq!((kind, body.len()), (KEEPALIVE, 0));
        let (kind, body, rest) = next_message(rest).unwrap().unwrap();
        assert_eq!((kind, split_update(body).unwrap()), (UPDATE, (&[][..], &[][..], &[][..])));
        assert!(next_message(rest).unwrap().is_none());
        let (cut, _) = stream.split_at(18);
        assert!(next_message(cut).unwrap().is_none());
        stream[3] = 0;
        assert!(next_message(&stream).is_err());
    }

    #[test]
    fn many_prefixes_take_several_full_messages() {
        let numbers: Vec<u32> = (0..3_000).collect();
        let mut stream = Vec::new();
        update(&mut stream, Shape::Table, &numbers, &[0x40, 1, 1, 0], &numbers);
        let (mut gone, mut here, mut messages, mut rest) = (0, 0, 0, &stream[..]);
        while let Some((_, body, behind)) = next_message(rest).unwrap() {
            let (withdrawn, attributes, nlri) = split_update(body).unwrap();
            assert!(body.len() + HEADER <= MESSAGE_MAX);
            assert_eq!(attributes.is_empty(), nlri.is_empty());
            (gone, here, messages) = (gone + withdrawn.len() / 4, here + nlri.len() / 4, messages + 1);
            rest = behind;
        }
        assert_eq!((gone, here, messages), (3_000, 3_000, 6));
    }
}
