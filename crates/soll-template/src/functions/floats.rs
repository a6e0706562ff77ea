//! Floats; sums and products are decimal, as in Sprig.

use num_bigint::BigInt;
use num_traits::{Signed as _, Zero as _};
use soll_yaml::shortest_float;

use super::conversion::to_float;
use super::{Function, int, many, pure};
use crate::object::Param::{Any, Float, Int};
use crate::render::{Fault, fault};
use crate::value::Value;

pub(super) static TABLE: &[Function] = &[
    pure("floor", &[Any], |args| Ok(Value::Float(to_float(&args[0]).floor()))),
    pure("ceil", &[Any], |args| Ok(Value::Float(to_float(&args[0]).ceil()))),
    many("round", &[Any, Int], Float, round),
    many("maxf", &[Any], Any, |args| Ok(Value::Float(folded(args, larger)))),
    many("minf", &[Any], Any, |args| Ok(Value::Float(folded(args, smaller)))),
    pure("add1f", &[Any], |args| decimal_fold(to_float(&args[0]), &[Value::Int(1)], |a, b| Ok(a.add(b)))),
    many("addf", &[], Any, |args| decimal_fold(0.0, args, |a, b| Ok(a.add(b)))),
    many("subf", &[Any], Any, |args| decimal_fold(to_float(&args[0]), &args[1..], |a, b| Ok(a.sub(b)))),
    many("mulf", &[Any], Any, |args| decimal_fold(to_float(&args[0]), &args[1..], |a, b| Ok(a.mul(b)))),
    many("divf", &[Any], Any, |args| decimal_fold(to_float(&args[0]), &args[1..], Decimal::div)),
];

fn folded(args: &[Value], choose: fn(f64, f64) -> f64) -> f64 {
    args.iter().map(to_float).reduce(choose).unwrap_or(0.0)
}

/// `math.Max`: what is no number wins.
fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        return f64::NAN;
    }
    if a == 0.0 && b == 0.0 {
        return if a.is_sign_negative() { b } else { a };
    }
    a.max(b)
}

fn smaller(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        return f64::NAN;
    }
    if a == 0.0 && b == 0.0 {
        return if a.is_sign_negative() { a } else { b };
    }
    a.min(b)
}

fn round(args: &[Value]) -> Result<Value, Fault> {
    let up_from = match args.get(2) {
        Some(Value::Float(up_from)) => *up_from,
        _ => 0.5,
    };
    let value = to_float(&args[0]);
    let power = power_of_ten(int(&args[1]));
    let shifted = power * value;
    let fraction = shifted - shifted.trunc();
    let rounded = if fraction >= up_from { shifted.ceil() } else { shifted.floor() };
    Ok(Value::Float(rounded / power))
}

/// `math.Pow(10, places)`, which is not the nearest float for large powers: it squares as it goes.
fn power_of_ten(places: i64) -> f64 {
    // Ten is 0.625 × 2⁴; the factor stays between a half and one.
    let (mut factor, mut factor_exponent) = (0.625_f64, 4_i32);
    let (mut mantissa, mut exponent) = (1.0_f64, 0_i32);
    let mut rest = places.unsigned_abs();
    while rest != 0 {
        // Past all floats.
        if factor_exponent > 1 << 12 {
            exponent += factor_exponent;
            break;
        }
        if rest % 2 == 1 {
            mantissa *= factor;
            exponent += factor_exponent;
        }
        factor *= factor;
        factor_exponent *= 2;
        if factor < 0.5 {
            factor *= 2.0;
            factor_exponent -= 1;
        }
        rest /= 2;
    }
    if places < 0 {
        (mantissa, exponent) = (mantissa.recip(), -exponent);
    }
    // In two steps, of which only the last can round.
    let half = exponent / 2;
    mantissa * 2f64.powi(half) * 2f64.powi(exponent - half)
}

/// `digits × 10^exponent`
struct Decimal {
    digits: BigInt,
    exponent: i64,
}

/// Digits after the point that a division keeps.
const DIVISION_PRECISION: i64 = 16;

impl Decimal {
    /// The shortest decimal that is the float.
    fn of(value: f64) -> Result<Self, Fault> {
        if !value.is_finite() {
            return Err(fault(format!("Cannot create a Decimal from {}", crate::number::float_text(value))));
        }
        let text = shortest_float(value);
        let (mantissa, exponent) = text.split_once('e').expect("it is scientific");
        let decimals = mantissa.split_once('.').map_or(0, |(_, decimals)| decimals.len());
        let digits = mantissa.replace('.', "").parse().expect("Rust wrote it");
        let exponent: i64 = exponent.parse().expect("Rust wrote it");
        Ok(Self { digits, exponent: exponent - i64::try_from(decimals).unwrap_or(0) })
    }

    /// Both with the smaller exponent.
    fn aligned(self, other: Self) -> (BigInt, BigInt, i64) {
        let exponent = self.exponent.min(other.exponent);
        (self.digits * power(self.exponent - exponent), other.digits * power(other.exponent - exponent), exponent)
    }

    fn add(self, other: Self) -> Self {
        let (a, b, exponent) = self.aligned(other);
        Self { digits: a + b, exponent }
    }

    fn sub(self, other: Self) -> Self {
        let (a, b, exponent) = self.aligned(other);
        Self { digits: a - b, exponent }
    }

    fn mul(self, other: Self) -> Self {
        Self { digits: self.digits * other.digits, exponent: self.exponent + other.exponent }
    }

    /// To 16 digits after the point, half away from zero.
    fn div(self, other: Self) -> Result<Self, Fault> {
        if other.digits.is_zero() {
            return Err(fault("decimal division by 0"));
        }
        let shift = self.exponent - other.exponent + DIVISION_PRECISION;
        let (mut top, mut bottom) = (self.digits, other.digits);
        if shift >= 0 {
            top *= power(shift);
        } else {
            bottom *= power(-shift);
        }
        let negative = top.is_negative() != bottom.is_negative();
        let (top, bottom) = (top.abs(), bottom.abs());
        let mut digits = &top / &bottom;
        if (&top % &bottom) * 2 >= bottom {
            digits += 1;
        }
        Ok(Self { digits: if negative { -digits } else { digits }, exponent: -DIVISION_PRECISION })
    }

    fn to_float(&self) -> f64 {
        format!("{}e{}", self.digits, self.exponent).parse().unwrap_or(f64::NAN)
    }
}

fn power(exponent: i64) -> BigInt {
    BigInt::from(10).pow(u32::try_from(exponent).unwrap_or(0))
}

type Operation = fn(Decimal, Decimal) -> Result<Decimal, Fault>;

fn decimal_fold(first: f64, rest: &[Value], operate: Operation) -> Result<Value, Fault> {
    let mut result = Decimal::of(first)?;
    for arg in rest {
        result = operate(result, Decimal::of(to_float(arg))?)?;
        // A product's digits grow with each factor; a float keeps 17 of them.
        if result.digits.bits() > 1 << 16 {
            return Err(fault("the numbers have too many digits"));
        }
    }
    Ok(Value::Float(result.to_float()))
}
