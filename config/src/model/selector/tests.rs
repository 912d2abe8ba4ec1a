use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn canonical(text: &str) -> String {
    text.parse::<Selector>().map_or_else(|error| error.to_string(), |selector| selector.to_string())
}

/// Canonical forms as Calico's parser prints them.
#[test]
fn canonical_forms() {
    for (text, expected) in [
        ("", "all()"),
        (" \t", "all()"),
        ("all( )", "all()"),
        ("global()", "global()"),
        ("a=='b'", r#"a == "b""#),
        (r#"a == 'b"c'"#, r#"a == 'b"c'"#),
        ("a != \"b'c\"", r#"a != "b'c""#),
        ("has( a/b.c-d_e )", "has(a/b.c-d_e)"),
        ("!has(a)", "!has(a)"),
        ("! ! has(a)", "has(a)"),
        ("!!!has(a)", "!has(a)"),
        ("a in {'z', 'b','z',}", r#"a in {"b", "z"}"#),
        ("a in {}", "a in {}"),
        ("a notin{\"b\"}", r#"a not in {"b"}"#),
        ("a not  in {'b'}", r#"a not in {"b"}"#),
        ("a contains 'b'", r#"a contains "b""#),
        ("a startswith 'b'", r#"a starts with "b""#),
        ("a ends\twith'b'", r#"a ends with "b""#),
        ("a == 'b' && c == 'd' || e == 'f'", r#"((a == "b" && c == "d") || e == "f")"#),
        ("a == 'b' && (c == 'd' || e == 'f')", r#"(a == "b" && (c == "d" || e == "f"))"#),
        ("((a == 'b'))", r#"a == "b""#),
        ("!(a == 'b' && all())", r#"!(a == "b" && all())"#),
        ("has(a)&&(has(b)&&has(c))", "(has(a) && (has(b) && has(c)))"),
        ("in in {'in'}", r#"in in {"in"}"#),
        ("has == 'x'", r#"has == "x""#),
        ("all == 'x'", r#"all == "x""#),
    ] {
        assert_eq!(canonical(text), expected, "of {text}");
    }
}

#[test]
fn errors_have_a_position_and_say_what_was_expected() {
    for (text, position, message) in [
        ("a", 2, "expected an operator after the label"),
        ("a = 'b'", 3, "expected '=='"),
        ("a == b", 6, "expected a text in quotes, found the label 'b'"),
        ("a == 'b", 6, "this text is not closed"),
        ("a in 'b'", 6, "expected '{'"),
        ("a in {'b' 'c'}", 11, "expected a text in quotes, ',' or '}'"),
        ("a in {,}", 7, "expected a text in quotes, ',' or '}'"),
        ("(a == 'b'", 10, "expected '&&', '||' or ')', found the end"),
        ("a == 'b')", 9, "expected '&&', '||' or the end, found ')'"),
        ("a == 'b' & c", 10, "expected '&&'"),
        ("a == 'b' c == 'd'", 10, "expected '&&', '||' or the end"),
        ("has()", 5, "expected a label name after has("),
        ("has(a", 6, "expected ')' to close has("),
        ("all(a)", 5, "expected ')' to close all("),
        ("!", 2, "expected a label name"),
        ("é == 'x'", 1, "'é' has no meaning here"),
        ("a == 'é' $", 10, "'$' has no meaning here"),
        ("has(a)\n&& has(b)", 7, "'\\n' has no meaning here"),
    ] {
        let error = text.parse::<Selector>().unwrap_err();
        assert_eq!(error.position, position, "of {text}: {error}");
        assert!(error.message.contains(message), "of {text}: {error}");
    }
}

#[test]
fn depth_and_length_are_bounded() {
    let nested = |depth| format!("{}has(a){}", "(".repeat(depth), ")".repeat(depth));
    assert!(nested(DEPTH_MAX).parse::<Selector>().is_ok());
    assert!(nested(DEPTH_MAX + 1).parse::<Selector>().is_err());
    assert!(format!("{}has(a)", "!".repeat(LENGTH_MAX - 10)).parse::<Selector>().is_ok());
    assert!(" ".repeat(LENGTH_MAX + 1).parse::<Selector>().is_err());
    assert!(format!("{} == 'x'", "a".repeat(512)).parse::<Selector>().is_ok());
    assert!(format!("{} == 'x'", "a".repeat(513)).parse::<Selector>().is_err());
}

#[test]
fn an_absent_label_matches_only_negatives() {
    let labels = BTreeMap::from([("rack".to_owned(), "a1".to_owned()), ("empty".to_owned(), String::new())]);
    for (text, expected) in [
        ("rack == 'a1'", true),
        ("rack == 'a2'", false),
        ("zone == ''", false),
        ("empty == ''", true),
        ("zone != 'x'", true),
        ("rack != 'a1'", false),
        ("zone not in {'x'}", true),
        ("rack not in {'a1'}", false),
        ("zone in {}", false),
        ("rack in {'a1', 'a2'}", true),
        ("zone contains ''", false),
        ("rack contains ''", true),
        ("rack starts with 'a'", true),
        ("rack ends with 'a'", false),
        ("has(empty)", true),
        ("!has(zone)", true),
        ("global()", true),
        ("has(zone) || rack == 'a1' && has(empty)", true),
        ("(has(zone) || rack == 'a1') && !has(empty)", false),
    ] {
        assert_eq!(text.parse::<Selector>().unwrap().matches(&labels), expected, "of {text}");
    }
}

fn label() -> impl Strategy<Value = String> {
    prop_oneof!["[abc]", "[A-Za-z0-9_./-]{1,12}"]
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof!["[xyz]{0,2}", r#"[^']{0,8}"#, r#"[^"]{0,8}"#]
}

fn expression() -> impl Strategy<Value = Expression> {
    let set = || proptest::collection::btree_set(value(), 0..4);
    let leaf = prop_oneof![
        Just(Expression::All),
        Just(Expression::Global),
        label().prop_map(Expression::Has),
        (label(), value()).prop_map(|(label, value)| Expression::Equals(label, value)),
        (label(), value()).prop_map(|(label, value)| Expression::NotEquals(label, value)),
        (label(), value()).prop_map(|(label, value)| Expression::Contains(label, value)),
        (label(), value()).prop_map(|(label, value)| Expression::StartsWith(label, value)),
        (label(), value()).prop_map(|(label, value)| Expression::EndsWith(label, value)),
        (label(), set()).prop_map(|(label, set)| Expression::In(label, set)),
        (label(), set()).prop_map(|(label, set)| Expression::NotIn(label, set)),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            inner
                .clone()
                .prop_filter("'!!' is folded", |operand| !matches!(operand, Expression::Not(_)))
                .prop_map(|operand| Expression::Not(Box::new(operand))),
            proptest::collection::vec(inner.clone(), 2..4).prop_map(Expression::And),
            proptest::collection::vec(inner, 2..4).prop_map(Expression::Or),
        ]
    })
}

/// The expression in no canonical form at all: needless parentheses, single quotes, joined operators.
fn sloppy(expression: &Expression) -> String {
    let quoted =
        |value: &str| if value.contains('\'') { format!("\"{value}\"") } else { format!("'{value}'") };
    let set = |values: &BTreeSet<String>| {
        let twice = values.iter().rev().chain(values).map(|value| format!("{},", quoted(value)));
        format!("{{{}}}", twice.collect::<String>())
    };
    let all = |operands: &[Expression], operator: &str| {
        let operands: Vec<_> = operands.iter().map(|operand| format!("( {})", sloppy(operand))).collect();
        operands.join(operator)
    };
    match expression {
        Expression::All => "all(\t)".into(),
        Expression::Global => "global( )".into(),
        Expression::Has(label) => format!("has( {label})"),
        Expression::Equals(label, value) => format!("{label}=={}", quoted(value)),
        Expression::NotEquals(label, value) => format!("{label}!={}", quoted(value)),
        Expression::Contains(label, value) => format!("{label} contains{}", quoted(value)),
        Expression::StartsWith(label, value) => format!("{label} startswith{}", quoted(value)),
        Expression::EndsWith(label, value) => format!("{label} ends  with{}", quoted(value)),
        Expression::In(label, values) => format!("{label} in{}", set(values)),
        Expression::NotIn(label, values) => format!("{label} notin{}", set(values)),
        Expression::Not(operand) => format!("!!!({})", sloppy(operand)),
        Expression::And(operands) => all(operands, "&&"),
        Expression::Or(operands) => all(operands, "||"),
    }
}

proptest! {
    #[test]
    fn canonical_form_parses_to_itself(expression in expression()) {
        let selector = Selector { root: expression };
        prop_assert_eq!(selector.to_string().parse::<Selector>().unwrap(), selector);
    }

    #[test]
    fn however_it_is_written_it_means_the_same(
        expression in expression(),
        labels in proptest::collection::btree_map(label(), value(), 0..4),
    ) {
        let selector: Selector = sloppy(&expression).parse().unwrap();
        prop_assert_eq!(selector.matches(&labels), expression.matches(&labels));
        prop_assert_eq!(selector.root, expression);
    }

    #[test]
    fn any_text_is_parsed_or_refused_within_itself(text in "[a-c()!&|={}',\" inhas\t]{0,40}|.{0,40}") {
        match text.parse::<Selector>() {
            Ok(selector) => prop_assert_eq!(canonical(&selector.to_string()), selector.to_string()),
            Err(error) => prop_assert!((1..=text.chars().count() + 1).contains(&error.position)),
        }
    }
}
