//! What an expression may call, and what evaluating it may cost: the interpreter has no fuel, so the work is bounded before
//! it starts.

use kube_cel::cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr};
use soll_yaml::{Data, Value};

/// Steps that an evaluation may take: about a second.
const BUDGET: u64 = 10_000_000;

/// What the expressions of Kubernetes may call and those of Flux may not: the API server wants them, and the interpreter has
/// one set of functions for both.
const FOREIGN: [&str; 12] =
    ["cidr", "find", "findAll", "ip", "isCIDR", "isIP", "isQuantity", "isSemver", "isURL", "quantity", "semver", "url"];

/// The same, of names that stand before a dot.
const FOREIGN_LIBRARIES: [&str; 3] = ["format", "jsonpatch", "math"];

/// The shape of an expression, as far as its cost depends on it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cost {
    /// Nodes of the expression.
    nodes: u64,
    /// How deep loops (`all`, `exists`, `map`, `filter`…) stand within each other.
    depth: u32,
    /// Longest list or map that is written in the expression itself.
    longest: u64,
    /// Whether it makes lists from texts.
    splits: bool,
    /// A function that Flux does not have.
    foreign: Option<&'static str>,
}

impl Cost {
    /// Reads the shape of an expression.
    pub(super) fn of(expression: &IdedExpr) -> Self {
        let mut cost = Self::default();
        cost.add(expression, 0);
        cost
    }

    /// A function that it calls and Flux does not have.
    pub(super) fn foreign(&self) -> Option<&'static str> {
        self.foreign
    }

    /// Checks that evaluating the expression over these values stays within the budget.
    pub(super) fn check<'v>(&self, inputs: impl IntoIterator<Item = &'v Value>) -> Result<(), String> {
        if self.depth == 0 {
            return Ok(());
        }
        let longest = inputs.into_iter().map(|value| longest(value, self.splits)).max().unwrap_or(0);
        let longest = longest.max(self.longest).max(1);
        let steps = longest.checked_pow(self.depth).and_then(|steps| steps.checked_mul(self.nodes));
        match steps {
            Some(steps) if steps <= BUDGET => Ok(()),
            _ => Err(format!(
                "the expression has loops {} deep, too costly over a list, map or text of {longest} items",
                self.depth
            )),
        }
    }

    fn add(&mut self, expression: &IdedExpr, depth: u32) {
        self.nodes += 1;
        self.depth = self.depth.max(depth);
        match &expression.expr {
            Expr::Call(call) => {
                self.splits |= matches!(call.func_name.as_str(), "split" | "findAll" | "range" | "lists.range");
                self.foreign = self.foreign.or(foreign(call));
                call.target.iter().for_each(|target| self.add(target, depth));
                call.args.iter().for_each(|argument| self.add(argument, depth));
            }
            Expr::Comprehension(comprehension) => {
                self.add(&comprehension.iter_range, depth);
                self.add(&comprehension.accu_init, depth);
                self.add(&comprehension.loop_cond, depth + 1);
                self.add(&comprehension.loop_step, depth + 1);
                self.add(&comprehension.result, depth);
            }
            Expr::List(list) => {
                self.longest = self.longest.max(list.elements.len() as u64);
                list.elements.iter().for_each(|element| self.add(element, depth));
            }
            Expr::Map(map) => {
                self.longest = self.longest.max(map.entries.len() as u64);
                map.entries.iter().for_each(|entry| self.add_entry(&entry.expr, depth));
            }
            Expr::Struct(structure) => {
                structure.entries.iter().for_each(|entry| self.add_entry(&entry.expr, depth));
            }
            Expr::Select(select) => self.add(&select.operand, depth),
            Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => {}
        }
    }

    fn add_entry(&mut self, entry: &EntryExpr, depth: u32) {
        match entry {
            EntryExpr::StructField(field) => self.add(&field.value, depth),
            EntryExpr::MapEntry(entry) => {
                self.add(&entry.key, depth);
                self.add(&entry.value, depth);
            }
        }
    }
}

fn foreign(call: &CallExpr) -> Option<&'static str> {
    let library = match call.target.as_deref().map(|target| &target.expr) {
        Some(Expr::Ident(name)) => FOREIGN_LIBRARIES.iter().find(|library| *library == name),
        _ => None,
    };
    library.or_else(|| FOREIGN.iter().find(|function| **function == call.func_name)).copied()
}

/// Length of the longest list or map in a value; of texts too, if they count.
fn longest(value: &Value, texts: bool) -> u64 {
    match &value.data {
        Data::List(items) => items.iter().map(|item| longest(item, texts)).max().unwrap_or(0).max(items.len() as u64),
        Data::Map(map) => map.iter().map(|entry| longest(&entry.value, texts)).max().unwrap_or(0).max(map.len() as u64),
        Data::Str(text) if texts => text.len() as u64,
        Data::Null | Data::Bool(_) | Data::Int(_) | Data::Float(_) | Data::Str(_) => 0,
    }
}
