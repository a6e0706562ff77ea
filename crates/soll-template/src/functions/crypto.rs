//! Keys, certificates, passwords: the environment does the mathematics, here are Sprig's names and words for it.

use std::net::IpAddr;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use soll_yaml::Str as Text;

use super::encoding::base64;
use super::{Function, bytes, int, text, world};
use crate::environment::{Certificate, CertificateRequest, Crypto};
use crate::object::Object;
use crate::object::Param::{Int, List, Named, Str, Uint32};
use crate::render::{Fault, World, fault};
use crate::value::{Kind, Map, Value};

const CERTIFICATE: &str = "sprig.certificate";

pub(super) static TABLE: &[Function] = &[
    world("sha1sum", &[Str], |world, args| Ok(Value::from(hex::encode(crypto(world)?.sha1(bytes(&args[0])))))),
    world("bcrypt", &[Str], |world, args| Ok(Value::from(bcrypt(world, &args[0])?))),
    world("htpasswd", &[Str, Str], |world, args| {
        let user = text(&args[0]);
        if user.contains(':') {
            return Ok(Value::from(format!("invalid username: {user}")));
        }
        Ok(Value::from(format!("{user}:{}", bcrypt(world, &args[1])?)))
    }),
    world("derivePassword", &[Uint32, Str, Str, Str, Str], derive_password),
    world("genPrivateKey", &[Str], private_key),
    world("buildCustomCert", &[Str, Str], custom),
    world("genCA", &[Str, Int], |world, args| authority(world, args, None)),
    world("genCAWithKey", &[Str, Int, Str], |world, args| authority(world, args, Some(&args[2]))),
    world("genSelfSignedCert", &[Str, List, List, Int], |world, args| self_signed(world, args, None)).walks(),
    world("genSelfSignedCertWithKey", &[Str, List, List, Int, Str], |world, args| {
        self_signed(world, args, Some(&args[4]))
    })
    .walks(),
    world("genSignedCert", &[Str, List, List, Int, Named(CERTIFICATE)], |world, args| signed(world, args, None))
        .walks(),
    world("genSignedCertWithKey", &[Str, List, List, Int, Named(CERTIFICATE), Str], |world, args| {
        signed(world, args, Some(&args[5]))
    })
    .walks(),
    world("encryptAES", &[Str, Str], encrypt),
    world("decryptAES", &[Str, Str], decrypt),
];

fn crypto<'w>(world: &World<'w>) -> Result<&'w dyn Crypto, Fault> {
    world.environment.crypto().ok_or_else(|| fault("there is no cryptography here"))
}

/// Steps that a slow hash or an elliptic key costs.
const HASHING: u64 = 200_000;
/// Steps that an RSA key costs.
const RSA_KEY: u64 = 500_000;

fn bcrypt(world: &mut World<'_>, password: &Value) -> Result<String, Fault> {
    world.spend(HASHING)?;
    let hash = crypto(world)?.bcrypt(bytes(password));
    Ok(hash.unwrap_or_else(|message| format!("failed to encrypt string with bcrypt: {message}")))
}

fn private_key(world: &mut World<'_>, args: &[Value]) -> Result<Value, Fault> {
    let kind = text(&args[0]);
    let kind = match kind.as_ref() {
        "" => "rsa",
        "rsa" | "dsa" | "ecdsa" | "ed25519" => kind.as_ref(),
        other => return Ok(Value::from(format!("Unknown type {other}"))),
    };
    world.spend(if kind == "rsa" || kind == "dsa" { RSA_KEY } else { HASHING })?;
    let key = crypto(world)?.private_key(kind);
    Ok(Value::from(key.unwrap_or_else(|message| format!("failed to generate private key: {message}"))))
}

/// `sprig.certificate`: what `genCA` and its kin return.
struct CertificateObject(Certificate);

fn value(pair: Certificate) -> Value {
    Value::Object(Rc::new(CertificateObject(pair)))
}

impl Object for CertificateObject {
    fn type_name(&self) -> &str {
        CERTIFICATE
    }

    fn kind(&self) -> Kind {
        Kind::Struct
    }

    fn field(&self, name: &str) -> Option<Value> {
        match name {
            "Cert" => Some(Value::text(&self.0.cert)),
            "Key" => Some(Value::text(&self.0.key)),
            _ => None,
        }
    }

    fn contents(&self) -> Value {
        Map::from_iter(self.fields()).into()
    }

    fn fields(&self) -> Vec<(Text, Value)> {
        vec![("Cert".into(), Value::text(&self.0.cert)), ("Key".into(), Value::text(&self.0.key))]
    }
}

fn pair_of(value: &Value) -> Certificate {
    let field = |name| match value {
        Value::Object(object) => object.field(name).map_or_else(String::new, |field| text(&field).into_owned()),
        _ => String::new(),
    };
    Certificate { cert: field("Cert"), key: field("Key") }
}

fn custom(world: &mut World<'_>, args: &[Value]) -> Result<Value, Fault> {
    let decode = |arg: &Value, what: &str| {
        let decoded = base64(bytes(arg)).map_err(|_| fault(format!("unable to decode base64 {what}")))?;
        Ok::<_, Fault>(super::lossy(&decoded).into_owned())
    };
    let pair = Certificate { cert: decode(&args[0], "certificate")?, key: decode(&args[1], "private key")? };
    check_certificate(&pair.cert)?;
    crypto(world)?.check_pair(&pair).map_err(fault)?;
    Ok(value(pair))
}

fn items(value: &Value) -> Vec<Value> {
    value.as_list().map(|list| list.items().clone()).unwrap_or_default()
}

/// The type of the first block of PEM.
fn pem_type(text: &str) -> Option<&str> {
    let (_, after) = text.split_once("-----BEGIN ")?;
    let (name, body) = after.split_once("-----")?;
    body.contains(&format!("-----END {name}-----")).then_some(name)
}

/// What is asked of a key before anything else.
fn check_key(key: &str) -> Result<(), Fault> {
    match pem_type(key) {
        None => Err(fault("parsing private key: no PEM data in input")),
        Some(name) if name == "PRIVATE KEY" || name.ends_with(" PRIVATE KEY") => Ok(()),
        Some(name) => Err(fault(format!("parsing private key: no private key data in PEM block of type {name}"))),
    }
}

fn check_certificate(cert: &str) -> Result<(), Fault> {
    pem_type(cert).map(|_| ()).ok_or_else(|| fault("unable to decode certificate"))
}

fn request(name: &Value, days: &Value, key: Option<&Value>) -> CertificateRequest {
    CertificateRequest {
        common_name: text(name).into_owned(),
        days: int(days),
        key: key.map(|key| text(key).into_owned()),
        ..CertificateRequest::default()
    }
}

fn request_for_hosts(args: &[Value], key: Option<&Value>) -> Result<CertificateRequest, Fault> {
    let mut request = request(&args[0], &args[3], key);
    request.key.as_deref().map_or(Ok(()), check_key)?;
    for ip in items(&args[1]) {
        let Some(text) = ip.as_str() else {
            return Err(fault(format!("error parsing ip: {} is not a string", crate::print::to_text(&ip))));
        };
        let address: IpAddr = text.parse().map_err(|_| fault(format!("error parsing ip: {text}")))?;
        request.ips.push(address);
    }
    for name in items(&args[2]) {
        if !name.is_text() {
            let shown = crate::print::to_text(&name);
            return Err(fault(format!("error processing alternate dns name: {shown} is not a string")));
        }
        // Those that are not ASCII are refused later.
        if let Some(text) = name.as_str().filter(|text| text.is_ascii()) {
            request.dns_names.push(text.to_owned());
        }
    }
    Ok(request)
}

/// The certificate, unless it holds names that none can hold, which is noticed when all else is done.
fn created(made: Result<Certificate, String>, name: &Value, dns_names: Option<&Value>) -> Result<Value, Fault> {
    let pair = made.map_err(fault)?;
    let refused = |what: String| Err(fault(format!("error creating certificate: {what}")));
    if std::str::from_utf8(bytes(name)).is_err() {
        return refused("asn1: string not valid UTF-8".to_owned());
    }
    if let Some(name) = dns_names.map(items).unwrap_or_default().iter().find(|name| !bytes(name).is_ascii()) {
        return refused(format!("x509: {} cannot be encoded as an IA5String", crate::quote::quoted(bytes(name))));
    }
    Ok(value(pair))
}

/// Steps that a certificate costs: most of it is the key, if there is none.
fn cost(key: Option<&Value>) -> u64 {
    if key.is_some() { HASHING } else { RSA_KEY }
}

fn authority(world: &mut World<'_>, args: &[Value], key: Option<&Value>) -> Result<Value, Fault> {
    world.spend(cost(key))?;
    let request = request(&args[0], &args[1], key);
    request.key.as_deref().map_or(Ok(()), check_key)?;
    created(crypto(world)?.authority(&request), &args[0], None)
}

fn self_signed(world: &mut World<'_>, args: &[Value], key: Option<&Value>) -> Result<Value, Fault> {
    world.spend(cost(key))?;
    created(crypto(world)?.self_signed(&request_for_hosts(args, key)?), &args[0], Some(&args[2]))
}

fn signed(world: &mut World<'_>, args: &[Value], key: Option<&Value>) -> Result<Value, Fault> {
    world.spend(cost(key))?;
    let authority = pair_of(&args[4]);
    key.map_or(Ok(()), |key| check_key(&text(key)))?;
    check_certificate(&authority.cert)?;
    created(crypto(world)?.signed(&request_for_hosts(args, key)?, &authority), &args[0], Some(&args[2]))
}

/// The first 32 bytes of the password, with zeros where it is shorter.
fn aes_key(password: &Value) -> [u8; 32] {
    let mut key = [0; 32];
    for (slot, byte) in key.iter_mut().zip(bytes(password)) {
        *slot = *byte;
    }
    key
}

const BLOCK: usize = 16;

fn encrypt(world: &mut World<'_>, args: &[Value]) -> Result<Value, Fault> {
    let mut content = bytes(&args[1]).to_vec();
    if content.is_empty() {
        return Ok(Value::text(""));
    }
    let padding = BLOCK - content.len() % BLOCK;
    content.extend(std::iter::repeat_n(padding as u8, padding));
    let mut out = [0; BLOCK];
    world.environment.random(&mut out);
    let encrypted = crypto(world)?.aes_cbc_encrypt(&aes_key(&args[0]), &out, &content).map_err(fault)?;
    Ok(Value::from(STANDARD.encode([out.as_slice(), &encrypted].concat())))
}

fn decrypt(world: &mut World<'_>, args: &[Value]) -> Result<Value, Fault> {
    if bytes(&args[1]).is_empty() {
        return Ok(Value::text(""));
    }
    let data = base64(bytes(&args[1])).map_err(fault)?;
    // Go makes room for whole groups of four.
    let capacity = bytes(&args[1]).len() / 4 * 3;
    let Some((iv, data)) = data.split_first_chunk::<BLOCK>() else {
        return Err(fault(format!("runtime error: slice bounds out of range [:16] with capacity {capacity}")));
    };
    if !data.len().is_multiple_of(BLOCK) {
        return Err(fault("crypto/cipher: input not full blocks"));
    }
    let decrypted = crypto(world)?.aes_cbc_decrypt(&aes_key(&args[0]), iv, data).map_err(fault)?;
    let Some(padding) = decrypted.last() else { return Err(fault("runtime error: index out of range [-1]")) };
    match decrypted.len().checked_sub(usize::from(*padding)) {
        Some(end) => Ok(Value::bytes_text(&decrypted[..end])),
        None => {
            let end = decrypted.len() as i64 - i64::from(*padding);
            Err(fault(format!("runtime error: slice bounds out of range [:{end}]")))
        }
    }
}

/// The templates of the Master Password algorithm: each letter is a class of characters.
fn password_templates(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "maximum" => &["anoxxxxxxxxxxxxxxxxx", "axxxxxxxxxxxxxxxxxno"],
        "long" => &[
            "CvcvnoCvcvCvcv",
            "CvcvCvcvnoCvcv",
            "CvcvCvcvCvcvno",
            "CvccnoCvcvCvcv",
            "CvccCvcvnoCvcv",
            "CvccCvcvCvcvno",
            "CvcvnoCvccCvcv",
            "CvcvCvccnoCvcv",
            "CvcvCvccCvcvno",
            "CvcvnoCvcvCvcc",
            "CvcvCvcvnoCvcc",
            "CvcvCvcvCvccno",
            "CvccnoCvccCvcv",
            "CvccCvccnoCvcv",
            "CvccCvccCvcvno",
            "CvcvnoCvccCvcc",
            "CvcvCvccnoCvcc",
            "CvcvCvccCvccno",
            "CvccnoCvcvCvcc",
            "CvccCvcvnoCvcc",
            "CvccCvcvCvccno",
        ],
        "medium" => &["CvcnoCvc", "CvcCvcno"],
        "short" => &["Cvcn"],
        "basic" => &["aaanaaan", "aannaaan", "aaannaaa"],
        "pin" => &["nnnn"],
        _ => return None,
    })
}

fn characters(class: u8) -> &'static [u8] {
    match class {
        b'V' => b"AEIOU",
        b'C' => b"BCDFGHJKLMNPQRSTVWXYZ",
        b'v' => b"aeiou",
        b'c' => b"bcdfghjklmnpqrstvwxyz",
        b'A' => b"AEIOUBCDFGHJKLMNPQRSTVWXYZ",
        b'a' => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz",
        b'n' => b"0123456789",
        b'o' => b"@&%?,=[]_:-+*$#!'^~;()/.",
        _ => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz0123456789!@#$%^&*()",
    }
}

fn derive_password(world: &mut World<'_>, args: &[Value]) -> Result<Value, Fault> {
    const SCOPE: &[u8] = b"com.lyndir.masterpassword";
    let counter = u32::try_from(int(&args[0])).unwrap_or(0);
    let kind = text(&args[1]);
    let Some(templates) = password_templates(&kind) else {
        return Ok(Value::from(format!("cannot find password template {kind}")));
    };
    let (password, user, site) = (bytes(&args[2]), bytes(&args[3]), bytes(&args[4]));
    let length = |text: &[u8]| u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes();
    world.spend(HASHING)?;
    let crypto = crypto(world)?;
    let salt = [SCOPE, &length(user), user].concat();
    let key = match crypto.scrypt(password, &salt) {
        Ok(key) => key,
        Err(message) => return Ok(Value::from(format!("failed to derive password: {message}"))),
    };
    let data = [SCOPE, &length(site), site, &counter.to_be_bytes()].concat();
    let seed = crypto.hmac_sha256(&key, &data);
    let template = templates[usize::from(seed[0]) % templates.len()];
    let derived = template.bytes().zip(&seed[1..]).map(|(class, byte)| {
        let characters = characters(class);
        char::from(characters[usize::from(*byte) % characters.len()])
    });
    Ok(Value::from(derived.collect::<String>()))
}
