//! The sample graph says what its README says: whole, symmetric, labelled, nothing dangling.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::collections::{BTreeMap, BTreeSet};

use kge_graph::read::{self, Format};

const TURTLE: &[u8] = include_bytes!("../samples/countries.ttl");
const README: &str = include_str!("../samples/README.md");
const PREFIX: &str = "https://kge-server.example/countries/";
const TYPE: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type";

type Pairs = BTreeSet<(String, String)>;

/// Short names.
fn short(name: &str) -> String {
    name.strip_prefix(PREFIX).unwrap_or(name).to_owned()
}

/// Each relation's pairs. A triple said twice is a slip of the pen.
fn relations() -> BTreeMap<String, Pairs> {
    let mut relations: BTreeMap<String, Pairs> = BTreeMap::new();
    read::read(Format::Turtle, TURTLE, &mut |statement| {
        let pairs = relations.entry(short(statement.relation)).or_default();
        let pair = (short(statement.head), short(statement.tail));
        assert!(pairs.insert(pair), "{statement:?} is said twice");
        Ok(())
    })
    .unwrap();
    relations
}

fn of_type(relations: &BTreeMap<String, Pairs>, class: &str) -> BTreeSet<String> {
    let types = relations[TYPE].iter();
    types.filter(|(_, tail)| tail == class).map(|(head, _)| head.clone()).collect()
}

fn labels() -> BTreeMap<String, BTreeMap<String, String>> {
    let mut labels: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    read::labels(Format::Turtle, TURTLE, &mut |label| {
        let language = label.language.unwrap().to_owned();
        let text = label.text.to_owned();
        assert_eq!(text.trim(), text);
        let before = labels.entry(short(label.name)).or_default().insert(language, text);
        assert_eq!(before, None, "{label:?} is the second in its language");
        Ok(())
    })
    .unwrap();
    labels
}

#[test]
fn counts_are_those_of_the_readme() {
    let relations = relations();
    let pairs = |name: &str| relations[name].len();
    for line in README.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let name = cells[1].trim_matches('`').trim_start_matches(':').replace("rdf:type", TYPE);
        assert_eq!(pairs(&name), cells[3].parse::<usize>().unwrap(), "{name}");
    }
    let told = README.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(told, relations.len(), "a relation is missing in the README");
    let triples: usize = relations.values().map(BTreeSet::len).sum();
    assert!(triples >= 3_000);
    let labels: usize = labels().values().map(BTreeMap::len).sum();
    let sentence = format!(
        "{},{:03} triples between named things ({},{:03} without `rdf:type`), and {},{:03} labels",
        triples / 1000,
        triples % 1000,
        (triples - pairs(TYPE)) / 1000,
        (triples - pairs(TYPE)) % 1000,
        labels / 1000,
        labels % 1000
    );
    assert!(README.contains(&sentence), "the README does not say: {sentence}");
    assert_eq!(of_type(&relations, "Country").len(), 197);
}

#[test]
fn borders_are_mutual_and_of_countries() {
    let relations = relations();
    let countries = of_type(&relations, "Country");
    for (one, other) in &relations["borders"] {
        assert!(countries.contains(one) && countries.contains(other), "{one} and {other}");
        assert_ne!(one, other);
        let back = (other.clone(), one.clone());
        assert!(relations["borders"].contains(&back), "{one} borders {other}, but not back");
    }
    for (country, kind) in &relations["geographicType"] {
        let touches_sea = relations["bordersSea"].iter().any(|(head, _)| head == country);
        let caspian = relations["bordersSea"]
            .iter()
            .filter(|(head, _)| head == country)
            .all(|(_, sea)| sea == "Caspian_Sea");
        let landlocked = kind == "Landlocked_country";
        assert_eq!(landlocked, !touches_sea || caspian, "{country} is {kind}");
    }
}

#[test]
fn a_country_has_one_of_what_it_can_have_one_of() {
    let relations = relations();
    let countries = of_type(&relations, "Country");
    let several = BTreeMap::from([("Eswatini", 2), ("South_Africa", 3)]);
    for country in &countries {
        let count =
            |relation: &str| relations[relation].iter().filter(|(head, _)| head == country).count();
        let capitals = several.get(country.as_str()).copied().unwrap_or(1);
        assert_eq!(count("capital"), capitals, "capitals of {country}");
        for one in ["continent", "subregion", "geographicType", "drivesOn", "governmentForm"] {
            assert_eq!(count(one), 1, "{one} of {country}");
        }
        for some in ["officialLanguage", "currency"] {
            assert!(count(some) > 0, "{some} of {country}");
        }
    }
    let mut capitals: Vec<_> = relations["capital"].iter().map(|(_, city)| city).collect();
    capitals.sort();
    let before = capitals.len();
    capitals.dedup();
    assert_eq!(capitals.len(), before, "a city is the capital of two countries");
    // The continent follows from the subregion.
    let part_of = &relations["partOf"];
    for (country, subregion) in &relations["subregion"] {
        let continent = relations["continent"].iter().find(|(head, _)| head == country).unwrap();
        assert!(part_of.contains(&(subregion.clone(), continent.1.clone())), "{country}");
    }
}

#[test]
fn relations_join_the_classes_they_should() {
    let relations = relations();
    let class = |name: &str| of_type(&relations, name);
    for (relation, head, tail) in [
        ("capital", "Country", "City"),
        ("seatOfGovernment", "Country", "City"),
        ("continent", "Country", "Continent"),
        ("subregion", "Country", "Subregion"),
        ("officialLanguage", "Country", "Language"),
        ("currency", "Country", "Currency"),
        ("governmentForm", "Country", "GovernmentForm"),
        ("geographicType", "Country", "GeographicType"),
        ("drivesOn", "Country", "DrivingSide"),
        ("languageFamily", "Language", "LanguageFamily"),
        ("headquarters", "Organisation", "City"),
        ("locatedIn", "City", "Country"),
    ] {
        let (heads, tails) = (class(head), class(tail));
        for (from, to) in &relations[relation] {
            assert!(heads.contains(from), "{from} {relation} {to}: no {head}");
            assert!(tails.contains(to), "{from} {relation} {to}: no {tail}");
        }
    }
}

#[test]
fn nothing_dangles_and_everything_is_labelled_in_both_languages() {
    let relations = relations();
    let labels = labels();
    let typed: BTreeSet<_> = relations[TYPE].iter().map(|(head, _)| head.as_str()).collect();
    assert_eq!(typed.len(), relations[TYPE].len(), "something has two types");
    let foreign = ["Class", "Property"];
    let used = relations.values().flatten().flat_map(|(head, tail)| [head, tail]);
    let named = used.chain(relations.keys().filter(|relation| *relation != TYPE));
    for name in named.filter(|name| !foreign.iter().any(|end| name.ends_with(end))) {
        assert!(typed.contains(name.as_str()), "{name} has no type");
        let languages: Vec<_> = labels[name].keys().map(String::as_str).collect();
        assert_eq!(languages, ["en", "es"], "{name}");
    }
    // A class without things, or a thing that nothing else is said of, would be left over.
    let mut mentions: BTreeMap<&str, usize> = BTreeMap::new();
    for (head, tail) in relations.values().flatten() {
        *mentions.entry(head).or_default() += 1;
        *mentions.entry(tail).or_default() += 1;
    }
    let property = |name: &str| relations.contains_key(name);
    for (name, count) in mentions {
        assert!(count > 1 || property(name), "nothing is said of {name} but its type");
    }
}

#[test]
fn two_things_of_one_class_have_two_labels() {
    let relations = relations();
    let mut seen: BTreeMap<(String, String, String), String> = BTreeMap::new();
    let labels = labels();
    for (name, class) in &relations[TYPE] {
        for (language, text) in &labels[name] {
            let key = (class.clone(), language.clone(), text.to_lowercase());
            let other = seen.insert(key, name.clone());
            assert_eq!(other, None, "\"{text}\" is {name} too");
        }
    }
}
