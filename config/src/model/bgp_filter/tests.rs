use super::super::Kind;
use super::super::tests::spec_problems;

/// Line 5 is the first line of the spec.
#[test]
fn mistakes_in_rules_are_named_with_their_place() {
    for (spec, expected) in [
        ("  importV4: [{}]", "f:5:14: spec.importV4[0].action: is missing: give Accept or Reject"),
        ("  importV4: [{action: Deny}]", "f:5:23: spec.importV4[0].action: expected Accept or Reject"),
        (
            "  importV4: [{action: Accept, cidr: 10.0.0.0/8}]",
            "spec.importV4[0].matchOperator: is missing: say how to compare",
        ),
        (
            "  importV4: [{action: Accept, matchOperator: In}]",
            "spec.importV4[0].cidr: is missing: matchOperator",
        ),
        (
            "  importV4: [{action: Accept, prefixLength: {min: 3}}]",
            "spec.importV4[0].cidr: is missing: prefixLength",
        ),
        (
            "  importV4: [{action: Accept, cidr: 'fd00::/8', matchOperator: In}]",
            "f:5:37: spec.importV4[0].cidr: fd00::/8 is not an IPv4 prefix, and these rules are about IPv4",
        ),
        (
            "  exportV6: [{action: Accept, cidr: 10.0.0.0/8, matchOperator: In}]",
            "spec.exportV6[0].cidr: 10.0.0.0/8 is not an IPv6 prefix",
        ),
        (
            "  importV4: [{action: Accept, cidr: 10.1.0.0/8, matchOperator: In}]",
            "'10.1.0.0/8' has bits set behind its length: write 10.0.0.0/8",
        ),
        (
            "  importV4: [{action: Accept, cidr: 10.0.0.0/8, matchOperator: In, prefixLength: {max: 33}}]",
            "spec.importV4[0].prefixLength.max: expected a whole number from 0 to 32",
        ),
        (
            "  importV4: [{action: Accept, cidr: 10.0.0.0/8, matchOperator: In, prefixLength: {max: 7}}]",
            "prefixLength.max: /7 is shorter than /8",
        ),
        (
            "  importV4: [{action: Accept, cidr: 10.0.0.0/8, matchOperator: Equal, prefixLength: {max: 9}}]",
            "spec.importV4[0].prefixLength: has no meaning where the whole prefix is compared",
        ),
        (
            "  importV4: [{action: Reject, interface: 'eth*'}]",
            "f:5:31: spec.importV4[0].interface: is known but not honoured by this version: remove it",
        ),
        ("  importV4: [{action: Reject, source: Local}]", "source: expected RemotePeers, found"),
        ("  importV4: [{action: Reject, peerType: EBGP}]", "peerType: expected eBGP or iBGP, found"),
        (
            "  importV4: [{action: Reject, communities: {values: ['1:2', '1:3']}}]",
            "spec.importV4[0].communities.values: holds exactly one community",
        ),
        (
            "  importV4: [{action: Reject, communities: {values: ['65536:1']}}]",
            "spec.importV4[0].communities.values[0]: '65536:1' is not a community",
        ),
        ("  importV4: [{action: Reject, asPathPrefix: [0]}]", "asPathPrefix[0]: '0' is not an AS"),
        (
            "  importV4: [{action: Reject, priority: 0}]",
            "priority: expected a whole number from 1 to 2147483646",
        ),
        (
            "  importV4: [{action: Reject, operations: [{setPriority: {value: 1}}]}]",
            "spec.importV4[0].operations: change routes that are accepted",
        ),
        (
            "  importV4: [{action: Accept, operations: [{}]}]",
            "spec.importV4[0].operations[0].addCommunity: one operation is exactly one of",
        ),
        (
            "  importV4: [{action: Accept, operations: [{setPriority: {value: 1}, addCommunity: {value: '1:2'}}]}]",
            "one operation is exactly one of",
        ),
        (
            "  importV4: [{action: Accept, operations: [{prependASPath: {prefix: [1,2,3,4,5,6,7,8,9,10,11]}}]}]",
            "spec.importV4[0].operations[0].prependASPath.prefix: holds 1 to 10 ASes",
        ),
    ] {
        let problems = spec_problems(Kind::BgpFilter, spec);
        assert!(
            problems.iter().any(|problem| problem.contains(expected)),
            "{spec}\n{expected}\n{problems:#?}"
        );
    }
}
