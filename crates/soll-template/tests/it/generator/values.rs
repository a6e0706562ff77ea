//! Values that templates are rendered with, in JSON.

use soll_yaml::{Map, Value};

use super::Generator;
use super::pools::VALUES;

impl Generator {
    /// Two sets that are always the same, or the same names with something else in them.
    pub(super) fn some_values(&mut self) -> String {
        let index = self.chance.below(5);
        match VALUES.get(index) {
            Some(values) => (*values).to_owned(),
            None => self.made_up_values(),
        }
    }

    fn made_up_values(&mut self) -> String {
        let mut values = Map::new();
        for name in ["str", "uni", "lines", "quotes", "num", "ver", "camel", "spaces"] {
            let mut text = self.made_up_text();
            if name == "lines" {
                // It is read as YAML: see COMPATIBILITY.md for tags.
                text.retain(|c| c != '!');
                text = text.replace('\u{85}', "");
            }
            if text.is_empty() && name == "str" {
                text.push_str("some");
            }
            values.insert(name, text.as_str().into());
        }
        values.insert("empty", "".into());
        values.insert("none", Value::null());
        values.insert("yes", true.into());
        values.insert("off", false.into());
        values.insert("zero", 0_i64.into());
        values.insert("int", (self.chance.below(200) as i64).into());
        for name in ["neg", "float", "big", "huge", "tiny"] {
            let number = self.any_float();
            values.insert(name, number.into());
        }
        let texts: Vec<Value> = (0..1 + self.chance.below(4)).map(|_| self.made_up_text().as_str().into()).collect();
        values.insert("list", texts.into());
        let numbers: Vec<Value> = (0..1 + self.chance.below(4)).map(|_| self.any_float().into()).collect();
        values.insert("nums", numbers.into());
        let maps: Vec<Value> = (0..1 + self.chance.below(3)).map(|_| self.made_up_map(1)).collect();
        values.insert("maps", maps.into());
        values.insert("nolist", Vec::<Value>::new().into());
        values.insert("nomap", Value::map());
        let map = self.made_up_map(3);
        values.insert("map", map);
        let mixed: Vec<Value> = (0..self.chance.below(6)).map(|_| self.made_up_value(2)).collect();
        values.insert("mixed", mixed.into());
        soll_yaml::to_json(&values.into())
    }

    fn made_up_map(&mut self, depth: usize) -> Value {
        let mut map = Map::new();
        for _ in 0..1 + self.chance.below(4) {
            let key = match self.chance.below(3) {
                // JSON with the end of a line in a key is no YAML, and where that is noticed hangs on how much is read at once.
                0 => self.made_up_text().replace('\u{85}', ""),
                _ => self.chance.pick(&["a", "b", "k", "key1", "key2", "key10", "name", "v", "z", "x"]).to_owned(),
            };
            let value = self.made_up_value(depth);
            map.insert(key.as_str(), value);
        }
        if depth > 2 {
            map.insert("b", self.made_up_map(1));
        }
        map.into()
    }

    fn made_up_value(&mut self, depth: usize) -> Value {
        match self.chance.below(if depth == 0 { 7 } else { 10 }) {
            0..=2 => self.made_up_text().as_str().into(),
            3 => self.any_integer().into(),
            4 => self.any_float().into(),
            5 => self.chance.percent(50).into(),
            6 => Value::null(),
            7 => {
                let items: Vec<Value> = (0..self.chance.below(4)).map(|_| self.made_up_value(depth - 1)).collect();
                items.into()
            }
            _ => self.made_up_map(depth - 1),
        }
    }
}
