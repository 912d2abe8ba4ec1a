//! FIELDS.md says of every field of every kind what this version does with it. It is written from the tables
//! that the parser reads by: `BLESS=1 cargo test -p config --test fields` writes it anew.

use std::fmt::{self, Write as _};
use std::path::Path;

use config::model::Kind;
use config::{Field, Support};

#[test]
fn the_document_says_what_the_parser_does() {
    let found = document().unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("FIELDS.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    assert_eq!(found, std::fs::read_to_string(&path).unwrap_or_default());
}

fn document() -> Result<String, fmt::Error> {
    let mut text = String::from(
        "# Fields of every kind\n\n\
         Written by a test from the tables that the parser reads by. *honoured*: does what Calico documents; \
         *addition*: ours, not Calico's; *accepted*: says nothing that manx acts on; *refused*: an error unless \
         it has the value given, or none. Everything else is an unknown field and an error.\n",
    );
    for kind in Kind::ALL {
        write!(text, "\n## {}\n\n| field | | meaning | example |\n|---|---|---|---|\n", kind.name())?;
        for field in kind.fields() {
            row(&mut text, "", field)?;
        }
    }
    Ok(text)
}

fn row(text: &mut String, parent: &str, field: &Field) -> fmt::Result {
    let path = format!("{parent}{}", field.name);
    let support = match field.support {
        Support::Honoured => "honoured".to_owned(),
        Support::Additive => "addition".to_owned(),
        Support::Informational => "accepted".to_owned(),
        Support::Refused { default: "" } => "refused".to_owned(),
        Support::Refused { default } => format!("refused unless `{default}`"),
    };
    let meaning = field.meaning.replace('|', "\\|");
    writeln!(text, "| `{path}` | {support} | {meaning} | `{}` |", field.example)?;
    let is_list = field.example.starts_with('[');
    for inner in field.fields {
        row(text, &format!("{path}{}", if is_list { "[]." } else { "." }), inner)?;
    }
    Ok(())
}
