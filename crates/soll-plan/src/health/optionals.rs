//! Optional field selection in CEL: `a.?b.c.orValue(d)`.
//!
//! The interpreter parses it and then fails on the missing field (as of cel 0.13), while its optional index
//! `a[?"b"]` does what both should. So one is rewritten into the other, and what follows in the chain with it.

use kube_cel::cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};

/// Rewrites optional selections throughout an expression; says whether the expression itself is such a chain.
pub(super) fn rewrite(expression: &mut IdedExpr) -> bool {
    match &mut expression.expr {
        Expr::Call(call) => {
            if let Some(target) = &mut call.target {
                rewrite(target);
            }
            let optional: Vec<_> = call.args.iter_mut().map(rewrite).collect();
            if call.func_name == operators::OPT_SELECT {
                operators::OPT_INDEX.clone_into(&mut call.func_name);
            }
            let is_index = call.func_name == operators::INDEX && optional.first() == Some(&true);
            is_index || call.func_name == operators::OPT_INDEX
        }
        Expr::Select(select) => {
            let is_optional = rewrite(&mut select.operand) && !select.test;
            if is_optional {
                let operand = std::mem::take(&mut *select.operand);
                let field = Expr::Literal(LiteralValue::String(std::mem::take(&mut select.field).into()));
                let args = vec![operand, IdedExpr { id: expression.id, expr: field }];
                expression.expr = Expr::Call(CallExpr { func_name: operators::INDEX.to_owned(), target: None, args });
            }
            is_optional
        }
        Expr::Comprehension(comprehension) => {
            let parts = [
                &mut comprehension.iter_range,
                &mut comprehension.accu_init,
                &mut comprehension.loop_cond,
                &mut comprehension.loop_step,
                &mut comprehension.result,
            ];
            for part in parts {
                rewrite(part);
            }
            false
        }
        Expr::List(list) => {
            for element in &mut list.elements {
                rewrite(element);
            }
            false
        }
        Expr::Map(map) => {
            map.entries.iter_mut().for_each(|entry| rewrite_entry(&mut entry.expr));
            false
        }
        Expr::Struct(structure) => {
            structure.entries.iter_mut().for_each(|entry| rewrite_entry(&mut entry.expr));
            false
        }
        Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => false,
    }
}

fn rewrite_entry(entry: &mut EntryExpr) {
    match entry {
        EntryExpr::StructField(field) => {
            rewrite(&mut field.value);
        }
        EntryExpr::MapEntry(entry) => {
            rewrite(&mut entry.key);
            rewrite(&mut entry.value);
        }
    }
}
