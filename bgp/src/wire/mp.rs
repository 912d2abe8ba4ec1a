//! MP_REACH_NLRI and MP_UNREACH_NLRI (RFC 4760 §3 and §4, next hops of RFC 2545).
