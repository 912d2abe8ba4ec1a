//! NLRI: prefixes packed as a length in bits and just enough octets (RFC 4271 §4.3, RFC 7911 §3).
