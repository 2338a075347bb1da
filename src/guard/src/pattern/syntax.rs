//! From the text of a regular expression to its syntax tree, with Perl classes and word boundaries
//! read as ASCII.

use regex_syntax::ast::{self, Ast, ClassPerlKind, ClassSet, ClassSetItem};
use regex_syntax::hir::{Capture, Class, ClassUnicode, ClassUnicodeRange, Hir, HirKind};

use super::PatternError;

/// Parses with Perl classes and word boundaries read as ASCII: that is what keeps rules on DFAs.
pub(crate) fn parse(regex: &str, ignore_case: bool) -> Result<Hir, PatternError> {
    let syntax = |e: &dyn std::fmt::Display| PatternError::Syntax(e.to_string());
    let tree = ast::parse::Parser::new().parse(regex).map_err(|e| syntax(&e))?;
    let mut edits = Vec::new();
    collect_edits(&tree, &mut edits)?;
    edits.sort_by_key(|(span, _)| span.start.offset);
    let mut source = String::with_capacity(regex.len() + 16 * edits.len());
    let mut copied = 0;
    for (span, text) in edits {
        source.push_str(&regex[copied..span.start.offset]);
        source.push_str(text);
        copied = span.end.offset;
    }
    source.push_str(&regex[copied..]);
    regex_syntax::ParserBuilder::new()
        .case_insensitive(ignore_case)
        .nest_limit(64)
        .build()
        .parse(&source)
        .map(|hir| without_exotic_letters(&hir))
        .map_err(|e| syntax(&e))
}

fn collect_edits(tree: &Ast, edits: &mut Vec<(ast::Span, &'static str)>) -> Result<(), PatternError> {
    match tree {
        Ast::ClassPerl(class) => {
            let text = match (&class.kind, class.negated) {
                (ClassPerlKind::Digit, false) => "[0-9]",
                (ClassPerlKind::Digit, true) => "[^0-9]",
                (ClassPerlKind::Word, false) => "[0-9A-Za-z_]",
                (ClassPerlKind::Word, true) => "[^0-9A-Za-z_]",
                (ClassPerlKind::Space, false) => "[\\t-\\r ]",
                (ClassPerlKind::Space, true) => "[^\\t-\\r ]",
            };
            edits.push((class.span, text));
        }
        Ast::ClassBracketed(class) => collect_class(&class.kind, edits)?,
        Ast::Assertion(assertion) => match assertion.kind {
            ast::AssertionKind::WordBoundary => edits.push((assertion.span, "(?-u:\\b)")),
            ast::AssertionKind::WordBoundaryStart => edits.push((assertion.span, "(?-u:\\b{start})")),
            ast::AssertionKind::WordBoundaryEnd => edits.push((assertion.span, "(?-u:\\b{end})")),
            _ => {}
        },
        Ast::Repetition(repetition) => collect_edits(&repetition.ast, edits)?,
        Ast::Group(group) => collect_edits(&group.ast, edits)?,
        Ast::Alternation(all) => all.asts.iter().try_for_each(|a| collect_edits(a, edits))?,
        Ast::Concat(all) => all.asts.iter().try_for_each(|a| collect_edits(a, edits))?,
        Ast::Empty(_) | Ast::Flags(_) | Ast::Literal(_) | Ast::Dot(_) | Ast::ClassUnicode(_) => {}
    }
    Ok(())
}

fn collect_class(set: &ClassSet, edits: &mut Vec<(ast::Span, &'static str)>) -> Result<(), PatternError> {
    match set {
        ClassSet::Item(item) => collect_item(item, edits),
        ClassSet::BinaryOp(op) => {
            collect_class(&op.lhs, edits)?;
            collect_class(&op.rhs, edits)
        }
    }
}

fn collect_item(item: &ClassSetItem, edits: &mut Vec<(ast::Span, &'static str)>) -> Result<(), PatternError> {
    match item {
        ClassSetItem::Perl(class) => {
            let text = match (&class.kind, class.negated) {
                (_, true) => return Err(PatternError::NegatedPerl),
                (ClassPerlKind::Digit, _) => "0-9",
                (ClassPerlKind::Word, _) => "0-9A-Za-z_",
                (ClassPerlKind::Space, _) => "\\t-\\r ",
            };
            edits.push((class.span, text));
            Ok(())
        }
        ClassSetItem::Bracketed(class) => collect_class(&class.kind, edits),
        ClassSetItem::Union(union) => union.items.iter().try_for_each(|i| collect_item(i, edits)),
        _ => Ok(()),
    }
}

/// Takes `K` (Kelvin) and `ſ` out of case-insensitive classes: the view folds them to ASCII, and
/// without them an ASCII rule stays an ASCII automaton.
fn without_exotic_letters(hir: &Hir) -> Hir {
    map(hir, &<[u8]>::to_vec, &|class| {
        let ascii = |c: char| c != '\u{212A}' && c != '\u{17F}';
        Some(ClassUnicode::new(
            members(class)?
                .filter(|c| ascii(*c))
                .map(|c| ClassUnicodeRange::new(c, c)),
        ))
    })
}

/// The characters of a small class.
pub(super) fn members(class: &ClassUnicode) -> Option<impl Iterator<Item = char> + '_> {
    let size: u32 = class
        .ranges()
        .iter()
        .map(|r| u32::from(r.end()) - u32::from(r.start()) + 1)
        .sum();
    (size <= 256).then(|| class.ranges().iter().flat_map(|r| r.start()..=r.end()))
}

/// Rebuilds `hir` with other literals and classes; a class for which there is `None` stays.
pub(super) fn map(
    hir: &Hir,
    literal: &dyn Fn(&[u8]) -> Vec<u8>,
    class: &dyn Fn(&ClassUnicode) -> Option<ClassUnicode>,
) -> Hir {
    let each = |sub: &Hir| map(sub, literal, class);
    match hir.kind() {
        HirKind::Empty => Hir::empty(),
        HirKind::Literal(bytes) => Hir::literal(literal(&bytes.0)),
        HirKind::Class(Class::Unicode(old)) => Hir::class(Class::Unicode(class(old).unwrap_or_else(|| old.clone()))),
        HirKind::Class(old) => Hir::class(old.clone()),
        HirKind::Look(look) => Hir::look(*look),
        HirKind::Repetition(repetition) => Hir::repetition(repetition.with(each(&repetition.sub))),
        HirKind::Capture(capture) => {
            let (index, name, sub) = (capture.index, capture.name.clone(), Box::new(each(&capture.sub)));
            Hir::capture(Capture { index, name, sub })
        }
        HirKind::Concat(all) => Hir::concat(all.iter().map(each).collect()),
        HirKind::Alternation(all) => Hir::alternation(all.iter().map(each).collect()),
    }
}

pub(super) fn value_group(hir: &Hir) -> Vec<usize> {
    match hir.kind() {
        HirKind::Capture(capture) if capture.name.as_deref() == Some("value") => vec![capture.index as usize],
        HirKind::Capture(capture) => value_group(&capture.sub),
        HirKind::Repetition(repetition) => value_group(&repetition.sub),
        HirKind::Concat(all) | HirKind::Alternation(all) => all.iter().flat_map(value_group).collect(),
        _ => Vec::new(),
    }
}
