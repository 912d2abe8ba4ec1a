//! Shares of the traffic for paths that are used at once, from the bandwidth that they carry
//! (draft-ietf-idr-link-bandwidth). Pure.

use std::num::NonZeroU64;

use smallvec::SmallVec;

use super::event::WEIGHT_MAX;
use crate::wire::{ExtendedCommunity, PathAttributes};

/// What the path says of its bandwidth, in bytes per second, at least 1; `None` where it says nothing, or nothing
/// that can be used: zero, negative, no number. Of several the lowest counts.
pub(super) fn bandwidth(attributes: &PathAttributes) -> Option<NonZeroU64> {
    let all = attributes.extended_communities.iter().filter_map(|community| community.link_bandwidth());
    // Whole bytes per second, and what is beyond 2⁶⁴ is as good as that.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and it saturates")]
    let usable = all.filter(|bytes| *bytes > 0.0).map(|bytes| (bytes as u64).max(1));
    usable.min().and_then(NonZeroU64::new)
}

/// One share for each path, 1 to [`WEIGHT_MAX`], as small as their ratio allows: 10 Gbit/s and 40 Gbit/s are 1 and
/// 4. Equal shares unless every path says its bandwidth. The fastest path counts 256 before the ratio is reduced,
/// the others are rounded to the nearest and are at least 1: what one path gets depends on the bandwidths alone.
pub(super) fn weights(bandwidths: &[Option<NonZeroU64>]) -> SmallVec<[u16; 4]> {
    let known: SmallVec<[u128; 4]> = bandwidths.iter().flatten().map(|bytes| bytes.get().into()).collect();
    let Some(fastest) = known.iter().max().copied().filter(|_| known.len() == bandwidths.len()) else {
        return bandwidths.iter().map(|_| 1).collect();
    };
    let max = u128::from(WEIGHT_MAX);
    let scaled: SmallVec<[u128; 4]> =
        known.iter().map(|bytes| ((bytes * max + fastest / 2) / fastest).clamp(1, max)).collect();
    let divisor = scaled.iter().copied().fold(0, greatest_common_divisor).max(1);
    scaled.iter().map(|weight| u16::try_from(weight / divisor).unwrap_or(WEIGHT_MAX)).collect()
}

fn greatest_common_divisor(left: u128, right: u128) -> u128 {
    if right == 0 { left } else { greatest_common_divisor(right, left % right) }
}

/// The attributes as they come over a link of `bytes_per_sec`: whatever the peer said of its bandwidth is replaced.
/// `asn` is ours on the session; one of four octets does not fit and AS_TRANS stands for it.
pub(super) fn set_bandwidth(attributes: &mut PathAttributes, asn: crate::Asn, bytes_per_sec: u64) {
    attributes.extended_communities.retain(|community| community.link_bandwidth().is_none());
    attributes.extended_communities.push(ExtendedCommunity::from_link_bandwidth(asn, bytes_per_sec));
    attributes.extended_communities.sort_unstable();
}
