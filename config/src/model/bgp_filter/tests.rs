use super::super::Kind;
use super::super::tests::spec_problems;

/// Line 5 is the first line of the spec.
#[test]
fn mistakes_in_rules_are_named_with_their_place() {
    for (spec, expected) in [
        ("  importV4: [{}]", "f:5:14: spec.importV4[0].action: is missing: give Accept, Reject or Next"),
        ("  importV4: [{action: Deny}]", "f:5:23: spec.importV4[0].action: expected Accept, Reject or Next"),
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
            "  importV4: [{action: Reject, communities: {}}]",
            "spec.importV4[0].communities.values: is missing: give a list of communities, or sets",
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
        (
            "  importV4: [{action: Next}]",
            "f:5:23: spec.importV4[0].action: Next changes a route and goes on: give operations",
        ),
        (
            "  importV4: [{action: Reject, asPathRegex: '_65001_('}]",
            "f:5:44: spec.importV4[0].asPathRegex: '_65001_(' is not a regular expression: unclosed group \
             (character 8)",
        ),
        (
            "  importV4: [{action: Reject, localPreference: {min: 5, max: 4}}]",
            "spec.importV4[0].localPreference.max: 4 is less than min, 5: nothing would match",
        ),
        ("  importV4: [{action: Reject, med: {}}]", "spec.importV4[0].med: says nothing: give a number"),
        ("  importV4: [{action: Reject, med: -1}]", "med: expected a whole number from 0 to 4294967295"),
        ("  importV4: [{action: Reject, origin: IGP}]", "origin: expected igp, egp or incomplete, found"),
        (
            "  importV4: [{action: Reject, nextHop: [10.0.0.1/8]}]",
            "nextHop[0]: '10.0.0.1/8' has bits set behind its length: write 10.0.0.0/8",
        ),
        (
            "  importV4: [{action: Reject, nextHop: [tor]}]",
            "nextHop[0]: 'tor' is no address and no prefix: write 192.0.2.1 or 192.0.2.0/24",
        ),
        (
            "  importV4: [{action: Accept, operations: [{setNextHop: {value: Self}}]}]",
            "setNextHop.value: is for export: on import use Peer or an address",
        ),
        (
            "  exportV4: [{action: Accept, operations: [{setNextHop: {value: Peer}}]}]",
            "setNextHop.value: Peer is for import",
        ),
        (
            "  exportV4: [{action: Accept, operations: [{setNextHop: {value: '2001:db8::1'}}]}]",
            "setNextHop.value: 2001:db8::1 is not an IPv4 address, and these rules are about IPv4",
        ),
        (
            "  exportV6: [{action: Accept, operations: [{setNextHop: {value: 'fe80::1'}}]}]",
            "setNextHop.value: fe80::1 is the address of no router that could be reached",
        ),
        (
            "  exportV4: [{action: Accept, operations: [{setMED: {value: off}}]}]",
            "setMED.value: expected None, found the text 'off'",
        ),
        (
            "  exportV4: [{action: Accept, operations: [{removeCommunities: {}}]}]",
            "one operation is exactly one of addCommunity",
        ),
        (
            "  exportV4: [{action: Accept, operations: [{addCommunities: {values: ['65001:*']}}]}]",
            "addCommunities.values[0]: '65001:*' is not a community: write 65001:100, a well-known name",
        ),
        (
            "  exportV4: [{action: Accept, operations: [{replaceCommunities: {values: ['65001:*']}}]}]",
            "replaceCommunities.with: is missing: give a list of communities",
        ),
    ] {
        let problems = spec_problems(Kind::BgpFilter, spec);
        assert!(
            problems.iter().any(|problem| problem.contains(expected)),
            "{spec}\n{expected}\n{problems:#?}"
        );
    }
}

#[test]
fn mistakes_in_sets_are_named_with_their_place() {
    for (spec, expected) in [
        ("  prefixes: [10.0.0.1/8]", "f:5:14: spec.prefixes[0]: '10.0.0.1/8' has bits set behind its length"),
        ("  prefixes: [{prefixLength: {min: 9}}]", "spec.prefixes[0].cidr: is missing: give a prefix"),
        (
            "  prefixes: [{cidr: 10.0.0.0/8, prefixLength: {max: 7}}]",
            "spec.prefixes[0].prefixLength.max: /7 is shorter than /8",
        ),
        ("  asPaths: ['[']", "spec.asPaths[0]: '[' is not a regular expression: unclosed character class"),
        ("  communities: ['65001']", "spec.communities[0]: '65001' is not a community"),
    ] {
        let problems = spec_problems(Kind::BgpSet, spec);
        assert!(
            problems.iter().any(|problem| problem.contains(expected)),
            "{spec}\n{expected}\n{problems:#?}"
        );
    }
    assert_eq!(
        spec_problems(Kind::BgpSet, "  prefixes: [10.0.0.0/8, {cidr: 'fd00::/8', prefixLength: {}}]"),
        [""; 0]
    );
}
