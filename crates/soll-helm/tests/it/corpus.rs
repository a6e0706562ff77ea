//! Every case of the corpus: the bytes that helm 4.2.4 printed, or what it said where it refused.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use soll_helm::render::{
    PrintedHooks, ReleaseOptions, RenderError, RenderOptions, Templates, prepare, render, show_only,
};
use soll_helm::{Capabilities, ChartLimits, KubeVersion, ValueFlags, load_directory};
use soll_keys::Keys;
use soll_template::{Certificate, CertificateRequest, Crypto, Environment};
use soll_tree::{DirTree, TreePath};
use soll_yaml::{Data, ParseOptions, SourceId, Sources, Value, parse_json, parse_yaml};

pub(crate) fn corpus() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus").canonicalize().unwrap()
}

/// A world whose randomness is only a count.
#[derive(Default)]
pub(crate) struct TestWorld {
    keys: Keys,
    count: Cell<u64>,
}

impl Environment for TestWorld {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::from_second(1_780_000_000).unwrap()
    }

    fn random(&self, buffer: &mut [u8]) {
        for byte in buffer {
            let count =
                self.count.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            self.count.set(count);
            *byte = (count >> 56) as u8;
        }
    }

    fn crypto(&self) -> Option<&dyn Crypto> {
        Some(&self.keys)
    }
}

/// A world with one certificate for all: suites ask for them by the hundred and look at none.
pub(crate) struct QuickWorld;

impl Environment for QuickWorld {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::from_second(1_780_000_000).unwrap()
    }

    fn random(&self, buffer: &mut [u8]) {
        buffer.fill(7);
    }

    fn crypto(&self) -> Option<&dyn Crypto> {
        Some(self)
    }
}

impl Crypto for QuickWorld {
    fn bcrypt(&self, _: &[u8]) -> Result<String, String> {
        Ok("$2a$10$quick".to_owned())
    }

    fn private_key(&self, _: &str) -> Result<String, String> {
        Ok("key".to_owned())
    }

    fn authority(&self, request: &CertificateRequest) -> Result<Certificate, String> {
        static ONE: OnceLock<Certificate> = OnceLock::new();
        let make = || Keys::default().authority(request).unwrap();
        Ok(ONE.get_or_init(make).clone())
    }

    fn self_signed(&self, request: &CertificateRequest) -> Result<Certificate, String> {
        self.authority(request)
    }

    fn signed(&self, request: &CertificateRequest, _: &Certificate) -> Result<Certificate, String> {
        self.authority(request)
    }

    fn check_pair(&self, _: &Certificate) -> Result<(), String> {
        Ok(())
    }

    fn aes_cbc_encrypt(&self, _: &[u8; 32], _: &[u8; 16], data: &[u8]) -> Result<Vec<u8>, String> {
        Ok(data.to_vec())
    }

    fn aes_cbc_decrypt(&self, _: &[u8; 32], _: &[u8; 16], data: &[u8]) -> Result<Vec<u8>, String> {
        Ok(data.to_vec())
    }

    fn scrypt(&self, _: &[u8], _: &[u8]) -> Result<[u8; 64], String> {
        Ok([0; 64])
    }

    fn hmac_sha256(&self, _: &[u8], _: &[u8]) -> [u8; 32] {
        [0; 32]
    }

    fn sha1(&self, _: &[u8]) -> [u8; 20] {
        [0; 20]
    }
}

/// What the flags of a case say.
#[derive(Default)]
pub(crate) struct Flags {
    values: ValueFlags,
    namespace: String,
    kube_version: String,
    show_only: Vec<String>,
    include_crds: bool,
    options: RenderOptions,
}

impl Flags {
    pub(crate) fn of<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Self {
        let mut flags = Self { namespace: "default".to_owned(), ..Self::default() };
        let mut arguments = arguments.into_iter();
        while let Some(flag) = arguments.next() {
            let mut value = || arguments.next().unwrap().to_owned();
            match flag {
                "--namespace" => flags.namespace = value(),
                "--kube-version" => flags.kube_version = value(),
                "-f" => flags.values.files.push(value()),
                "--set" => flags.values.set.push(value()),
                "--set-string" => flags.values.string.push(value()),
                "--set-json" => flags.values.json.push(value()),
                "--set-file" => flags.values.file.push(value()),
                "--set-literal" => flags.values.literal.push(value()),
                "--show-only" => flags.show_only.push(value()),
                "--skip-schema-validation" => flags.options.skip_schema_validation = true,
                "--include-crds" => flags.include_crds = true,
                other => panic!("{other}"),
            }
        }
        flags
    }
}

/// What `helm template soll-test CHART FLAGS` would print, or say.
fn template(chart: &str, flags: &Flags) -> Result<String, String> {
    template_in(&corpus().join("charts"), chart, flags)
}

/// The same in a folder of charts.
pub(crate) fn template_in(charts: &Path, chart: &str, flags: &Flags) -> Result<String, String> {
    let tree = DirTree::open(charts).unwrap();
    let sources = Sources::new();
    let mut read = |path: &str| std::fs::read_to_string(charts.join(path)).map_err(|error| error.to_string());
    let set = flags.values.values(&sources, &mut read)?;
    let path: TreePath = chart.parse().unwrap();
    let chart = load_directory(&tree, &path, &ChartLimits::default(), &sources).map_err(|error| error.to_string())?;
    let mut capabilities = Capabilities::default();
    if !flags.kube_version.is_empty() {
        capabilities.kube_version = KubeVersion::parse(&flags.kube_version).unwrap();
    }
    let release = ReleaseOptions {
        name: "soll-test".to_owned(),
        namespace: flags.namespace.clone(),
        revision: 1,
        is_upgrade: false,
    };
    let said = |error: RenderError| {
        let hint = if error.is_while_rendering() { "\n\nUse --debug flag to render out invalid YAML" } else { "" };
        format!("{error}{hint}")
    };
    let prepared = prepare(chart, &set, &flags.options).map_err(said)?;
    let templates = Templates::parse(&prepared.chart).map_err(|error| said(error.into()))?;
    let rendered = render(&prepared, &templates, &release, &capabilities, &flags.options, &TestWorld::default(), None)
        .map_err(said)?;
    let printed = rendered.printed(flags.include_crds.then_some(&prepared.chart), PrintedHooks::All);
    if flags.show_only.is_empty() {
        return Ok(printed);
    }
    show_only(&printed, &flags.show_only).map_err(|error| error.to_string())
}

#[test]
fn every_case_prints_what_helm_printed() {
    let expected = corpus().join("helm-expected");
    let index = parse_json(&std::fs::read(expected.join("index.json")).unwrap()).unwrap();
    let cases = index.get("cases").and_then(Value::as_list).unwrap();
    assert_eq!(cases.len(), 84);
    let mut wrong = Vec::new();
    for case in cases {
        let (chart, name) = (case.lookup_str(&["chart"]).unwrap(), case.lookup_str(&["case"]).unwrap());
        let arguments = case.get("args").and_then(Value::as_list).unwrap().iter().filter_map(Value::as_str);
        let got = template(chart, &Flags::of(arguments));
        let read = |extension: &str| std::fs::read_to_string(expected.join(chart).join(format!("{name}.{extension}")));
        let is_random = case.get("random").and_then(Value::as_bool) == Some(true);
        let difference = match (got, read("yaml"), read("error.txt")) {
            (Ok(got), Ok(expected), _) if is_random => alike(&got, &expected),
            (Ok(got), Ok(expected), _) => first_difference(&got, &expected),
            (Err(got), Err(_), Ok(expected)) => {
                // What is no YAML is refused, but Go's reader and ours do not always stop at the same line.
                let reason = |text: &str| text.split(": yaml: line").next().unwrap().to_owned();
                let got = format!("Error: {got}\n");
                if got.contains(": yaml: line") {
                    first_difference(&reason(&got), &reason(&expected))
                } else {
                    first_difference(&got, &expected)
                }
            }
            (Err(got), ..) => Some(format!("refused: {got}")),
            (Ok(_), ..) => Some("not refused".to_owned()),
        };
        if let Some(difference) = difference {
            wrong.push(format!("== {chart}/{name}\n{difference}"));
        }
    }
    assert!(wrong.is_empty(), "{} of 84:\n{}", wrong.len(), wrong.join("\n"));
}

fn first_difference(got: &str, expected: &str) -> Option<String> {
    if got == expected {
        return None;
    }
    let pairs = got.lines().zip(expected.lines()).enumerate();
    let line = pairs.into_iter().find(|(_, (got, expected))| got != expected);
    Some(match line {
        Some((number, (got, expected))) => format!("line {}:\n  {got}\nshould be\n  {expected}", number + 1),
        None => format!("{} bytes should be {}", got.len(), expected.len()),
    })
}

/// Compares what is random by design by its form: the same documents, the same fields, texts of the same kind.
fn alike(got: &str, expected: &str) -> Option<String> {
    let parse = |text: &str| parse_yaml(text, SourceId::default(), &ParseOptions::go_v2()).unwrap();
    let (got, expected) = (parse(got), parse(expected));
    if got.len() != expected.len() {
        return Some(format!("{} documents should be {}", got.len(), expected.len()));
    }
    got.iter().zip(&expected).find_map(|(got, expected)| unlike(got, expected, ""))
}

/// Where two values differ in more than what is random.
pub(crate) fn unlike(got: &Value, expected: &Value, path: &str) -> Option<String> {
    match (&got.data, &expected.data) {
        (Data::Map(got), Data::Map(expected)) => {
            let keys = |map: &soll_yaml::Map| map.sorted().iter().map(|one| one.key.to_string()).collect::<Vec<_>>();
            if keys(got) != keys(expected) {
                return Some(format!("{path}: {:?} should be {:?}", keys(got), keys(expected)));
            }
            got.iter()
                .find_map(|entry| unlike(&entry.value, expected.get(&entry.key)?, &format!("{path}.{}", entry.key)))
        }
        (Data::List(got), Data::List(expected)) if got.len() == expected.len() => {
            got.iter().zip(expected.iter()).find_map(|(got, expected)| unlike(got, expected, &format!("{path}[]")))
        }
        (Data::Str(got), Data::Str(expected)) if is_of_a_kind(got, expected) => None,
        _ if got == expected => None,
        _ => Some(format!("{path}: {got:?} should be like {expected:?}")),
    }
}

/// Equal, or secrets of one form: PEM of one label, or texts of one length without a space.
fn is_of_a_kind(got: &str, expected: &str) -> bool {
    let decoded = |text: &str| STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let label =
        |text: &str| text.split_once("-----BEGIN ").map(|(_, rest)| rest.split("-----").next().unwrap().to_owned());
    match (label(got), label(expected)) {
        (Some(got), Some(expected)) => return got == expected,
        (None, None) => {}
        _ => return false,
    }
    if let (Some(inner), Some(wanted)) = (decoded(got), decoded(expected))
        && (label(&inner).is_some() || label(&wanted).is_some())
    {
        return label(&inner) == label(&wanted);
    }
    // A chart's dates and bcrypt hashes stand within longer texts; line by line they must be as long.
    got == expected || (got.len() == expected.len() && got.lines().count() == expected.lines().count())
}
