//! What chance, time and secrets decide: of these only what is certain is compared.

use super::Generator;

/// What `encryptAES` once made of texts, under the keys `key` and the empty one.
const ENCRYPTED: &[&str] = &[
    "\"key\" \"wSWXdGKvhof6jXWHiI5tOaBo2VHYMzoaIF6nSa6tOCA=\"",
    "\"\" \"3VY8RzSK1P9Pp0cfN7BKFf7K+GuU2BxoKRGafzt5fOf6N9IaO9nUhFyWnbrI9eVNP3bZ1To0SjeX8a943LJQgQ==\"",
    "\"key\" \"\"",
    "\"key\" \"!\"",
    "\"key\" \"YWFh\"",
    "\"key\" (b64enc \"0123456789abcdef0123456789abcdef\")",
    "\"key\" (b64enc \"0123456789abcdef012\")",
    "\"key\" (b64enc \"0123456789abcdef\")",
];
const KEYS: &[&str] = &[
    "(genPrivateKey \"ed25519\")",
    "(genPrivateKey \"ed25519\")",
    "(genPrivateKey \"ecdsa\")",
    "(genPrivateKey \"ecdsa\")",
    "\"no key\"",
    "\"\"",
    "`-----BEGIN X-----\nYQ==\n-----END X-----\n`",
];
const AUTHORITIES: &[&str] = &[
    "(genCAWithKey \"ca\" 1 (genPrivateKey \"ecdsa\"))",
    "(genCAWithKey \"ca\" 365 (genPrivateKey \"ed25519\"))",
    "(genCAWithKey \"ca\" 10 (genPrivateKey \"ed25519\"))",
    "(genSelfSignedCertWithKey \"s\" nil nil 10 (genPrivateKey \"ed25519\"))",
    ".map",
];
const IPS: &[&str] =
    &["nil", "list", "(list \"127.0.0.1\" \"::1\")", "(list \"10.0.0.1\")", "(list \"nope\")", "(list 5)"];
const NAMES: &[&str] = &["nil", "list", "(list \"a.b\" \"*.c\")", "(list \"x\")", "(list 1.5)", "(list \"é\\t\")"];

impl Generator {
    /// A call whose result is the same every time.
    pub(super) fn uncertain(&mut self, name: &str) -> Option<String> {
        let string = self.string();
        let chance = &mut self.chance;
        let count = chance.pick(&["0", "1", "3", "7", "-1", "20", "(len .list)"]);
        // Most often all is well.
        let well = chance.percent(60);
        let key = chance.pick(if well { &KEYS[..4] } else { KEYS });
        let (ips, names) =
            (chance.pick(if well { &IPS[..4] } else { IPS }), chance.pick(if well { &NAMES[..4] } else { NAMES }));
        let days = chance.pick(&["1", "365", "0", "-5"]);
        let part = chance.pick(&[".Cert | trunc 27", ".Key | trunc 27", " | typeOf", ".Cert | kindOf"]);
        let rsa = chance.pick(&[".Cert | trunc 27", ".Key | trunc 31", " | typeOf"]);
        Some(match name {
            "now" => chance
                .pick(&[
                    "now | typeOf",
                    "now.UTC | kindOf",
                    "now.IsZero",
                    "kindOf now.Unix",
                    "(now.Sub now).Hours | int",
                ])
                .to_owned(),
            "ago" => chance.pick(&["ago now", "ago .str", "ago (list)", "ago .nope", "ago .int"]).to_owned(),
            "randAlphaNum" => format!("randAlphaNum {count} | regexMatch \"^[0-9A-Za-z]*$\""),
            "randAlpha" => format!("randAlpha {count} | regexMatch \"^[A-Za-z]*$\""),
            "randNumeric" => format!("randNumeric {count} | regexMatch \"^[0-9]*$\""),
            "randAscii" => format!("randAscii {count} | len"),
            "randInt" => format!("randInt {}", chance.pick(&["3 4", "-1 0", "5 5", "9 2", "0 1", "7 8", "-9 -8"])),
            "randBytes" => format!("randBytes {count} | b64dec | len"),
            "shuffle" => format!("shuffle {string} | len"),
            "uuidv4" => {
                "uuidv4 | regexMatch \"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$\"".into()
            }
            "bcrypt" => {
                format!("bcrypt {string} | {}", chance.pick(&["len", "trunc 7", "regexMatch `^\\$2a\\$10\\$`"]))
            }
            "htpasswd" if chance.percent(95) => format!("htpasswd \"a:b\" {string}"),
            "htpasswd" => format!("htpasswd \"user\" {string} | trunc 12"),
            "derivePassword" => format!(
                "derivePassword {} {} {string} \"user\" \"example.com\"",
                chance.pick(&["1", "0", "17"]),
                chance.pick(&[
                    "\"long\"",
                    "\"maximum\"",
                    "\"medium\"",
                    "\"short\"",
                    "\"basic\"",
                    "\"pin\"",
                    "\"other\""
                ]),
            ),
            "genPrivateKey" => chance
                .pick(&[
                    "genPrivateKey \"ecdsa\" | trunc 30",
                    "genPrivateKey \"ed25519\" | trunc 27",
                    "genPrivateKey \"x\"",
                    "genPrivateKey \"RSA\"",
                ])
                .to_owned(),
            "genCA" => format!("(genCA \"ca\" {days}){rsa}"),
            "genSelfSignedCert" => format!("(genSelfSignedCert {string} {ips} {names} {days}){rsa}"),
            "genSignedCert" => {
                format!("(genSignedCert \"cn\" {ips} {names} {days} {}){rsa}", chance.pick(AUTHORITIES))
            }
            "genCAWithKey" => format!("(genCAWithKey {string} {days} {key}){part}"),
            "genSelfSignedCertWithKey" => {
                format!("(genSelfSignedCertWithKey {string} {ips} {names} {days} {key}){part}")
            }
            "genSignedCertWithKey" => {
                format!("(genSignedCertWithKey {string} {ips} {names} {days} {} {key}){part}", chance.pick(AUTHORITIES))
            }
            "buildCustomCert" => match chance.below(6) {
                0 => "buildCustomCert \"x\" \"y\"".to_owned(),
                1 => "buildCustomCert \"YQ==\" \"!\"".to_owned(),
                2 => "buildCustomCert \"YQ==\" \"YQ==\"".to_owned(),
                _ => format!(
                    "{{{{ with {} }}}}{{{{ (buildCustomCert (b64enc .Cert) (b64enc .Key)){part} }}}}{{{{ end }}}}",
                    chance.pick(&AUTHORITIES[..4])
                ),
            },
            "encryptAES" => {
                format!(
                    "encryptAES {string} {} | decryptAES {string}",
                    chance.pick(&["\"text\"", ".str", ".uni", "\"\""])
                )
            }
            "decryptAES" => format!("decryptAES {}", chance.pick(if well { &ENCRYPTED[..3] } else { ENCRYPTED })),
            _ => return None,
        })
    }
}
