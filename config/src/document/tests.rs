use super::tree::{Data, parse};
use super::*;

const TABLE: &[Field] = &[
    Field::honoured("name", "x", "a text"),
    Field::honoured("count", "3", "a number"),
    Field::refused("password", "", "x", "no"),
    Field::refused("mode", "Never", "Always", "no"),
];

fn problems(text: &str, read: impl Fn(&Fields<'_>)) -> Vec<String> {
    let documents = parse(text).unwrap();
    let source = Source::new("f.yaml");
    if let Some(fields) = Fields::open(&source, "spec", &documents[0], TABLE) {
        read(&fields);
    }
    source.into_problems().iter().map(ToString::to_string).collect()
}

#[test]
fn every_value_knows_its_place() {
    let documents = parse("a:\n  - x\n  - b: 1.10\n---\nc: {d: 0x10, e: ~}\n").unwrap();
    assert_eq!(documents.len(), 2);
    let Data::Map(first) = &documents[0].data else { panic!() };
    let Data::List(items) = &first[0].value.data else { panic!() };
    assert_eq!((items[0].at.line, items[0].at.column), (2, 5));
    let Data::Map(item) = &items[1].data else { panic!() };
    assert_eq!((item[0].at.line, item[0].at.column), (3, 5));
    assert_eq!(item[0].value.data, Data::Number { text: "1.10".into(), integer: None });
    assert_eq!((item[0].value.at.line, item[0].value.at.column), (3, 8));
    let Data::Map(second) = &documents[1].data else { panic!() };
    let Data::Map(inner) = &second[0].value.data else { panic!() };
    assert_eq!(inner[0].value.data, Data::Number { text: "0x10".into(), integer: Some(16) });
    assert_eq!(inner[1].value.data, Data::Null);
    assert_eq!((inner[0].at.line, inner[0].at.column), (5, 5));
}

#[test]
fn no_and_on_are_texts_and_json_with_tabs_is_read() {
    let documents = parse("{\n\t\"a\": no,\n\t\"b\": [on, \"yes\", true]\n}\n").unwrap();
    let Data::Map(map) = &documents[0].data else { panic!() };
    assert_eq!(map[0].value.data, Data::Text("no".into()));
    let Data::List(list) = &map[1].value.data else { panic!() };
    assert_eq!(list[0].data, Data::Text("on".into()));
    assert_eq!(list[2].data, Data::Boolean(true));
}

#[test]
fn numbers_behind_other_bytes_and_aliases_keep_their_text() {
    let documents = parse("# é – ü\na: &x 1.10\nb: *x\n").unwrap();
    let Data::Map(map) = &documents[0].data else { panic!() };
    assert_eq!(map[0].value.data, Data::Number { text: "1.10".into(), integer: None });
    assert_eq!(map[1].value.data, Data::Number { text: "1.10".into(), integer: None });
    assert_eq!(map[1].value.at.line, 3);
}

#[test]
fn what_is_not_yaml_has_a_place() {
    let error = parse("a: 1\nb: [1, 2\nc: 3\n").unwrap_err();
    assert!(error.at.is_some(), "{error:?}");
    let error = parse("a: 1\na: 2\n").unwrap_err();
    assert_eq!(error.at.map(|at| at.line), Some(2), "{error:?}");
    assert!(error.message.contains("duplicate"), "{error:?}");
}

#[test]
fn a_bomb_and_a_deep_nest_are_refused() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for index in 1..12 {
        let last = index - 1;
        bomb.push_str(&format!("a{index}: &a{index} [{}]\n", vec![format!("*a{last}"); 9].join(", ")));
    }
    assert!(parse(&bomb).is_err());
    assert!(parse(&"[".repeat(100_000)).is_err());
    assert!(parse(&"- ".repeat(1000)).is_err());
}

#[test]
fn unknown_and_refused_fields_are_all_reported() {
    let found = problems("nmae: x\npassword: {secretKeyRef: {name: a}}\nmode: Always\nzebra: 1\n", |_| ());
    assert_eq!(
        found,
        [
            "f.yaml:1:1: spec.nmae: unknown field 'nmae': did you mean 'name'?",
            "f.yaml:2:1: spec.password: is known but not honoured by this version: remove it",
            "f.yaml:3:1: spec.mode: is known but not honoured by this version: \
             remove it or set it to Never",
            "f.yaml:4:1: spec.zebra: unknown field 'zebra': known here: name, count, password, mode",
        ]
    );
    assert!(problems("password: {}\nmode: Never\n", |_| ()).is_empty());
    assert!(problems("password: ~\nmode: ''\n", |_| ()).is_empty());
}

#[test]
fn wrong_types_say_what_would_be_right() {
    let found = problems("name: 12\ncount: '3'\n", |fields| {
        assert_eq!(fields.entry("name").unwrap().text(), None);
        assert_eq!(fields.entry("count").unwrap().integer::<u8>(1..=9), None);
    });
    assert_eq!(
        found,
        [
            "f.yaml:1:7: spec.name: expected a text, found the number 12: write \"12\"",
            "f.yaml:2:8: spec.count: expected a whole number from 1 to 9, found the text '3'",
        ]
    );
    assert_eq!(problems("[]", |_| ()), ["f.yaml:1:1: spec: expected a mapping of fields, found a list"]);
}
