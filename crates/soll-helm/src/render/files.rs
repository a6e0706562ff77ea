//! `.Files`.

use std::rc::Rc;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use soll_template::{Kind, List, Map, Object, Param, Value};
use soll_yaml::emit_yaml;

use crate::ChartFile;
use crate::glob::Glob;

/// The files of a chart that are neither templates nor of a meaning of their own.
pub(super) struct Files {
    files: Arc<[ChartFile]>,
    /// Which of them, by position; all if nothing.
    chosen: Option<Vec<usize>>,
}

impl Files {
    pub(super) fn new(files: Arc<[ChartFile]>) -> Self {
        Self { files, chosen: None }
    }

    fn iter(&self) -> Box<dyn Iterator<Item = &ChartFile> + '_> {
        match &self.chosen {
            None => Box::new(self.files.iter()),
            Some(chosen) => Box::new(chosen.iter().map(|&position| &self.files[position])),
        }
    }

    fn get(&self, name: &str) -> Option<&ChartFile> {
        self.iter().find(|file| &*file.name == name)
    }

    fn glob(&self, pattern: &str) -> Self {
        let glob = Glob::new(pattern);
        let all: Vec<usize> = match &self.chosen {
            None => (0..self.files.len()).collect(),
            Some(chosen) => chosen.clone(),
        };
        let chosen = all.into_iter().filter(|&position| glob.matches(&self.files[position].name)).collect();
        Self { files: self.files.clone(), chosen: Some(chosen) }
    }

    /// A YAML map from bare names to texts; of equal names the last wins.
    fn as_yaml(&self, text: impl Fn(&[u8]) -> String) -> Value {
        let mut map = soll_yaml::Map::new();
        for file in self.iter() {
            let name = file.name.rsplit_once('/').map_or(&*file.name, |(_, base)| base);
            map.insert(name, soll_yaml::Value::from(text(&file.data)));
        }
        map.sort_keys();
        let text = emit_yaml(&map.into());
        Value::text(text.strip_suffix('\n').unwrap_or(&text))
    }
}

impl Object for Files {
    fn type_name(&self) -> &str {
        "engine.files"
    }

    fn kind(&self) -> Kind {
        Kind::Map
    }

    fn method(&self, name: &str) -> Option<&'static [Param]> {
        match name {
            "Get" | "GetBytes" | "Glob" | "Lines" => Some(&[Param::Str]),
            "AsConfig" | "AsSecrets" => Some(&[]),
            _ => None,
        }
    }

    fn call(&self, name: &str, arguments: &[Value]) -> Result<Value, String> {
        let argument = arguments.first().and_then(Value::as_str).unwrap_or_default();
        let data = || self.get(argument).map_or(&[][..], |file| &file.data);
        Ok(match name {
            "Get" => Value::bytes_text(data()),
            "GetBytes" => Value::byte_list(data()),
            "Glob" => Value::Object(Rc::new(self.glob(argument))),
            "Lines" => {
                let text = String::from_utf8_lossy(data());
                let text = text.strip_suffix('\n').unwrap_or(&text);
                match self.get(argument) {
                    None => Value::List(List::of_texts(Vec::<&str>::new())),
                    Some(_) => Value::List(List::of_texts(text.split('\n'))),
                }
            }
            "AsConfig" => self.as_yaml(|data| String::from_utf8_lossy(data).into_owned()),
            "AsSecrets" => self.as_yaml(|data| STANDARD.encode(data)),
            other => return Err(format!("engine.files has no method {other}")),
        })
    }

    fn contents(&self) -> Value {
        let map = Map::new();
        for file in self.iter() {
            map.insert(&*file.name, Value::byte_list(&file.data));
        }
        Value::Map(map)
    }
}
