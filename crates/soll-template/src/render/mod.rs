//! Rendering: walking trees, as Go's `text/template` does it.

mod actions;
mod arguments;
mod expressions;
mod includes;
mod state;
mod world;

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use soll_yaml::Str;

use crate::ast::Tree;
use crate::environment::{Environment, Limits};
use crate::error::{ErrorKind, TemplateError};
use crate::set::{Scope, Set};
use crate::stack::with_room;
use crate::value::Value;
use includes::without_no_value;
use state::{Operand, State};

pub(crate) use world::World;

/// An error on its way out.
pub(crate) type Fault = Box<TemplateError>;

pub(crate) fn fault(message: impl Into<String>) -> Fault {
    Box::new(TemplateError::plain(message))
}

/// How to render.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// A missing key is an error, as in `helm lint --strict`.
    pub strict: bool,
    /// `required` and `fail` warn instead of failing, as in `helm lint`.
    pub lint: bool,
    /// How far it may go.
    pub limits: Limits,
}

/// Helm's own bound on templates that include themselves.
const MAX_INCLUDES: u32 = 1_000;
/// What Helm calls the set of all templates; `tpl` texts are called so, too.
const ROOT_NAME: &str = "gotpl";

/// The rendering of one release: fuel, include counts and parsed `tpl` texts are shared by its files.
pub struct Rendering<'s> {
    set: &'s Set,
    pub(crate) world: World<'s>,
    included: HashMap<Str, u32>,
    /// Parsed `tpl` texts.
    texts: HashMap<Str, Rc<Vec<Arc<Tree>>>>,
    depth: u32,
}

impl<'s> Rendering<'s> {
    /// Begins a rendering.
    #[must_use]
    pub fn new(set: &'s Set, environment: &'s dyn Environment, options: Options) -> Self {
        let world = World {
            environment,
            steps: options.limits.steps,
            bytes: options.limits.bytes,
            options,
            patterns: HashMap::new(),
        };
        Self { set, world, included: HashMap::new(), texts: HashMap::new(), depth: 0 }
    }

    /// Renders a template with a value for its dot. Where Go prints `<no value>`, nothing is left, as Helm does it.
    ///
    /// # Errors
    /// What went wrong and where, through all the includes.
    pub fn render(&mut self, name: &str, data: Value) -> Result<String, TemplateError> {
        let out = self.render_bytes(name, data)?;
        String::from_utf8(out).map_err(|error| {
            let place = error.utf8_error().valid_up_to();
            TemplateError::plain(format!("template: {name}: what it renders is not UTF-8 at byte {place}"))
        })
    }

    /// The same, where texts that are not UTF-8 are welcome.
    ///
    /// # Errors
    /// As [`Self::render`].
    pub fn render_bytes(&mut self, name: &str, data: Value) -> Result<Vec<u8>, TemplateError> {
        let scope = Scope { set: self.set, outer: None, local: &[] };
        let mut out = Vec::with_capacity(1024);
        self.depth = 0;
        with_room(|| self.by_name(&scope, name, data, &mut out)).map_err(|error| *error)?;
        Ok(without_no_value(out))
    }

    fn by_name(&mut self, scope: &Scope<'_>, name: &str, data: Value, out: &mut Vec<u8>) -> Result<(), Fault> {
        let Some(tree) = scope.get(name) else {
            let quoted = crate::quote::quoted(name.as_bytes());
            let message = format!("template: no template {quoted} associated with template \"{ROOT_NAME}\"");
            return Err(Box::new(TemplateError::of(ErrorKind::NoTemplate(name.to_owned()), message)));
        };
        self.execute(tree, scope, &Operand::bare(data), out)
    }

    fn execute(&mut self, tree: &Tree, scope: &Scope<'_>, dot: &Operand, out: &mut Vec<u8>) -> Result<(), Fault> {
        let mut state = State { tree, scope, variables: vec![(0, dot.clone())], at: None };
        self.nodes(&mut state, dot, &tree.root, out)?;
        Ok(())
    }

    /// Goes a level deeper in the machine's stack.
    fn deeper<T>(&mut self, what: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        let limit = self.world.options.limits.depth;
        if self.depth >= limit {
            let message = format!("exceeded maximum template depth ({limit})");
            return Err(Box::new(TemplateError::of(ErrorKind::Limit, message)));
        }
        self.depth += 1;
        let result = with_room(|| what(self));
        self.depth -= 1;
        result
    }
}
