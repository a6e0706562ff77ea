//! `time.Time`: zones, arithmetic, methods.

use std::rc::Rc;

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use crate::duration::{DURATION, duration, month, nanoseconds};
use crate::environment::Environment;
use crate::layout;
use crate::object::{Object, Param};
use crate::value::{Kind, Value};

pub(crate) const RFC3339_NANO: &str = "2006-01-02T15:04:05.999999999Z07:00";
pub(crate) const MOMENT: Param = Param::Named("time.Time");
const LOCATION: Param = Param::Named("*time.Location");

/// A moment, and the place whose clocks show it.
#[derive(Clone, Debug)]
pub struct Time {
    moment: Timestamp,
    place: Rc<Place>,
    /// Seconds east of Greenwich.
    offset: i32,
    /// What the zone calls itself then; empty if it has no name.
    abbreviation: String,
}

/// `*time.Location`.
#[derive(Clone, Debug, PartialEq)]
enum Place {
    Utc,
    /// The zone of the machine.
    Local(TimeZone),
    /// Always so many seconds east; most often without a name.
    Fixed {
        name: String,
        offset: i32,
    },
}

/// Go compares the places by where they are in memory.
impl PartialEq for Time {
    fn eq(&self, other: &Self) -> bool {
        let same_place = match (&*self.place, &*other.place) {
            (Place::Utc, Place::Utc) | (Place::Local(_), Place::Local(_)) => true,
            // There is one place each for these.
            (Place::Fixed { name, offset }, Place::Fixed { name: other, offset: other_offset })
                if name.is_empty()
                    && other.is_empty()
                    && offset % 3600 == 0
                    && (-12..=14).contains(&(offset / 3600)) =>
            {
                offset == other_offset
            }
            _ => Rc::ptr_eq(&self.place, &other.place),
        };
        self.moment == other.moment && same_place
    }
}

impl Time {
    /// A moment in Greenwich.
    pub(crate) fn utc(moment: Timestamp) -> Self {
        Self::at(moment, Rc::new(Place::Utc))
    }

    /// A moment in the zone of the machine.
    #[must_use]
    pub fn local(moment: Timestamp, zone: &TimeZone) -> Self {
        Self::at(moment, Rc::new(Place::Local(zone.clone())))
    }

    /// A moment at an offset that may have a name.
    pub(crate) fn fixed(moment: Timestamp, offset: i32, name: &str) -> Self {
        Self::at(moment, Rc::new(Place::Fixed { name: name.to_owned(), offset }))
    }

    fn at(moment: Timestamp, place: Rc<Place>) -> Self {
        let (offset, abbreviation) = match &*place {
            Place::Fixed { name, offset } => (*offset, name.clone()),
            Place::Utc => (0, "UTC".to_owned()),
            Place::Local(zone) => {
                let info = zone.to_offset_info(moment);
                (info.offset().seconds(), info.abbreviation().to_owned())
            }
        };
        Self { moment, place, offset, abbreviation }
    }

    /// The first moment of the year 1, Go's zero.
    pub(crate) fn zero() -> Self {
        Self::utc(zero())
    }

    /// `reflect.DeepEqual`: what the places are counts, not where.
    pub(crate) fn deep_equal(&self, other: &Self) -> bool {
        self.moment == other.moment && self.place == other.place
    }

    /// The moment.
    #[must_use]
    pub fn moment(&self) -> Timestamp {
        self.moment
    }

    pub(crate) fn offset(&self) -> i32 {
        self.offset
    }

    pub(crate) fn abbreviation(&self) -> &str {
        &self.abbreviation
    }

    /// Date and time of day as a clock there shows them.
    pub(crate) fn civil(&self) -> DateTime {
        let offset = Offset::from_seconds(self.offset).unwrap_or(Offset::UTC);
        offset.to_datetime(self.moment)
    }

    pub(crate) fn format(&self, layout: &str) -> String {
        layout::format(self, layout)
    }

    /// Later, or earlier, by nanoseconds; beyond the range of dates it stays where it is.
    pub(crate) fn plus(&self, nanoseconds: i64) -> Self {
        let moment = self.moment.checked_add(SignedDuration::from_nanos(nanoseconds)).unwrap_or(self.moment);
        Self::at(moment, Rc::clone(&self.place))
    }

    /// Nanoseconds since the first moment of the year 1, as remainder of a division.
    fn rest(&self, unit: i64) -> i64 {
        let since = self.moment.as_nanosecond() - zero().as_nanosecond();
        i64::try_from(since.rem_euclid(i128::from(unit))).unwrap_or(0)
    }

    /// As JSON and YAML write it.
    pub(crate) fn rfc3339(&self) -> Result<String, String> {
        let year = self.civil().year();
        if !(0..=9999).contains(&year) {
            return Err("year outside of range [0,9999]".into());
        }
        Ok(self.format(RFC3339_NANO))
    }

    pub(crate) fn method(&self, name: &str) -> Option<&'static [Param]> {
        Some(match name {
            "Format" => &[Param::Str],
            "Before" | "After" | "Equal" | "Compare" | "Sub" => &[MOMENT],
            "Add" | "Round" | "Truncate" => &[DURATION],
            "AddDate" => &[Param::Int, Param::Int, Param::Int],
            "In" => &[LOCATION],
            "Unix" | "UnixMilli" | "UnixMicro" | "UnixNano" | "Year" | "Month" | "Day" | "Hour" | "Minute"
            | "Second" | "Nanosecond" | "YearDay" | "Weekday" | "UTC" | "Local" | "Location" | "IsDST" | "IsZero"
            | "String" | "GoString" | "MarshalJSON" | "MarshalText" => &[],
            _ => return None,
        })
    }

    pub(crate) fn call(&self, name: &str, arguments: &[Value], environment: &dyn Environment) -> Result<Value, String> {
        let civil = self.civil();
        let other = || match arguments.first() {
            Some(Value::Time(time)) => time.moment,
            _ => self.moment,
        };
        let by = || arguments.first().map_or(0, nanoseconds);
        let value = |time: Self| Value::Time(Rc::new(time));
        Ok(match name {
            "Format" => Value::from(self.format(&crate::functions::text(&arguments[0]))),
            "Before" => Value::Bool(self.moment < other()),
            "After" => Value::Bool(self.moment > other()),
            "Equal" => Value::Bool(self.moment == other()),
            "Compare" => Value::Int(self.moment.cmp(&other()) as i64),
            "Sub" => {
                let nanoseconds = self.moment.as_nanosecond() - other().as_nanosecond();
                let limit = if nanoseconds < 0 { i64::MIN } else { i64::MAX };
                duration(i64::try_from(nanoseconds).unwrap_or(limit))
            }
            "Add" => value(self.plus(by())),
            "Truncate" if by() > 0 => value(self.plus(-self.rest(by()))),
            "Round" if by() > 0 => {
                let rest = self.rest(by());
                value(self.plus(if rest < by() - rest { -rest } else { by() - rest }))
            }
            "Round" | "Truncate" => value(self.clone()),
            "AddDate" => value(self.add_date(arguments)?),
            "In" => match arguments.first() {
                Some(Value::Object(location)) => match location.inner().and_then(|inner| inner.downcast_ref()) {
                    Some(Location(place)) => value(Self::at(self.moment, Rc::clone(place))),
                    None => return Err("time: missing Location in call to Time.In".into()),
                },
                _ => return Err("time: missing Location in call to Time.In".into()),
            },
            "Unix" => Value::Int64(self.moment.as_nanosecond().div_euclid(1_000_000_000) as i64),
            "UnixMilli" => Value::Int64(self.moment.as_nanosecond().div_euclid(1_000_000) as i64),
            "UnixMicro" => Value::Int64(self.moment.as_nanosecond().div_euclid(1_000) as i64),
            // What does not fit wraps around, as in Go.
            "UnixNano" => Value::Int64(self.moment.as_nanosecond() as i64),
            "Year" => Value::Int(civil.year().into()),
            "Month" => month(civil.month().into()),
            "Day" => Value::Int(civil.day().into()),
            "Hour" => Value::Int(civil.hour().into()),
            "Minute" => Value::Int(civil.minute().into()),
            "Second" => Value::Int(civil.second().into()),
            "Nanosecond" => Value::Int(civil.subsec_nanosecond().into()),
            "YearDay" => Value::Int(civil.date().day_of_year().into()),
            "Weekday" => crate::duration::weekday(i64::try_from(weekday(civil)).unwrap_or(0)),
            "UTC" => value(Self::utc(self.moment)),
            "Local" => value(Self::local(self.moment, &environment.local_zone())),
            "Location" => Value::Object(Rc::new(Location(Rc::clone(&self.place)))),
            "IsDST" => Value::Bool(match &*self.place {
                Place::Local(zone) => zone.to_offset_info(self.moment).dst().is_dst(),
                Place::Utc | Place::Fixed { .. } => false,
            }),
            "IsZero" => Value::Bool(self.moment == zero()),
            "GoString" => Value::from(self.go_string()),
            "MarshalJSON" => {
                let text = self.rfc3339().map_err(|why| format!("Time.MarshalJSON: {why}"))?;
                Value::byte_list(format!("\"{text}\"").as_bytes())
            }
            "MarshalText" => {
                let text = self.rfc3339().map_err(|why| format!("Time.MarshalText: {why}"))?;
                Value::byte_list(text.as_bytes())
            }
            _ => Value::from(self.to_string()),
        })
    }

    /// As a program would write it.
    pub(crate) fn go_string(&self) -> String {
        let civil = self.civil();
        let month = MONTHS[usize::from(civil.month().unsigned_abs()) - 1];
        let place = match &*self.place {
            Place::Utc => "time.UTC".to_owned(),
            Place::Local(_) => "time.Local".to_owned(),
            Place::Fixed { name, .. } => format!("time.Location({})", crate::quote::time_quoted(name)),
        };
        let (year, day, clock) = (civil.year(), civil.day(), civil.time());
        let (hour, minute, second) = (clock.hour(), clock.minute(), clock.second());
        let nanosecond = clock.subsec_nanosecond();
        format!("time.Date({year}, time.{month}, {day}, {hour}, {minute}, {second}, {nanosecond}, {place})")
    }

    /// Years, months and days further; a day that the month lacks runs over into the next.
    fn add_date(&self, arguments: &[Value]) -> Result<Self, String> {
        let [years, months, days] = [0, 1, 2].map(|index| match arguments.get(index) {
            Some(Value::Int(number)) => *number,
            _ => 0,
        });
        let out_of_range = || "the date is out of range".to_owned();
        let civil = self.civil();
        let month = (i64::from(civil.month()) - 1).saturating_add(months);
        let year = i64::from(civil.year()).saturating_add(years).saturating_add(month.div_euclid(12));
        let year = i16::try_from(year).map_err(|_| out_of_range())?;
        let month = i8::try_from(month.rem_euclid(12) + 1).map_err(|_| out_of_range())?;
        let first = jiff::civil::Date::new(year, month, 1).map_err(|_| out_of_range())?;
        let day = (i64::from(civil.day()) - 1).saturating_add(days);
        let span = jiff::Span::new().try_days(day).map_err(|_| out_of_range())?;
        let date = first.checked_add(span).map_err(|_| out_of_range())?;
        let civil = date.to_datetime(civil.time());
        let moment = match &*self.place {
            Place::Utc => Offset::UTC.to_timestamp(civil),
            Place::Local(zone) => zone.to_ambiguous_timestamp(civil).compatible(),
            Place::Fixed { offset, .. } => Offset::from_seconds(*offset).unwrap_or(Offset::UTC).to_timestamp(civil),
        };
        Ok(Self::at(moment.map_err(|_| out_of_range())?, Rc::clone(&self.place)))
    }
}

fn zero() -> Timestamp {
    Timestamp::from_second(-62_135_596_800).expect("the year 1 is in range")
}

struct Location(Rc<Place>);

impl Object for Location {
    fn type_name(&self) -> &str {
        "*time.Location"
    }

    fn kind(&self) -> Kind {
        Kind::Ptr
    }

    fn contents(&self) -> Value {
        crate::value::Map::new().into()
    }

    fn string(&self) -> Option<String> {
        Some(match &*self.0 {
            Place::Utc => "UTC".to_owned(),
            // As where the variable TZ names the zone.
            Place::Local(zone) => zone.iana_name().unwrap_or("Local").to_owned(),
            Place::Fixed { name, .. } => name.clone(),
        })
    }

    fn hidden(&self) -> &'static [&'static str] {
        &["name", "zone", "tx", "extend", "cacheStart", "cacheEnd", "cacheZone"]
    }

    fn copied(&self) -> Option<Value> {
        Some(Value::Object(Rc::new(Self(Rc::new(Place::Fixed { name: String::new(), offset: 0 })))))
    }

    fn inner(&self) -> Option<&dyn std::any::Any> {
        Some(self)
    }
}

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.format("2006-01-02 15:04:05.999999999 -0700 MST"))
    }
}

pub(crate) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(crate) const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// From 0, Sunday.
pub(crate) fn weekday(civil: DateTime) -> usize {
    usize::from(civil.weekday().to_sunday_zero_offset().unsigned_abs())
}
