//! sqlparser's MySQL, with MySQL's precedences: sqlparser's own bind `->` and `!` weaker, XOR, `|`, `&` and shifts otherwise, and put
//! IN, BETWEEN, LIKE and REGEXP on one level with comparisons, which in MySQL's grammar have them as operands.

use std::any::TypeId;

use sqlparser::ast::{BinaryOperator, CastKind, DataType, Expr, Query, Statement, UnaryOperator};
use sqlparser::dialect::{Dialect, MySqlDialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

/// The dialect that statements are read in.
#[derive(Debug, Default)]
pub(super) struct Grammar {
    mysql: MySqlDialect,
    nests_joins: bool,
}

impl Grammar {
    /// Reads `a JOIN b JOIN c ON … ON …` as `a JOIN (b JOIN c ON …) ON …`.
    pub(super) fn nesting() -> Grammar {
        Grammar { nests_joins: true, ..Grammar::default() }
    }
}

/// Stands for the operator SOUNDS LIKE.
pub(super) const SOUNDS_LIKE: &str = "SOUNDS LIKE";

const ARROW: u8 = 60;
/// `!` and BINARY.
const BANG: u8 = 55;
/// `-` and `~` before a value.
const NEGATIVE: u8 = 50;
const CARET: u8 = 45;
const MULTIPLY: u8 = 40;
const SHIFT: u8 = 28;
const AND_OF_BITS: u8 = 27;
const OR_OF_BITS: u8 = 26;
/// IN, BETWEEN, LIKE, REGEXP, MEMBER OF: `1 = 2 IN (0)` is `1 = (2 IN (0))`.
const PREDICATE: u8 = 20;
/// `=` and its kin, and IS, from left to right.
const COMPARISON: u8 = 18;
const AND: u8 = 10;
const XOR: u8 = 7;
const OR: u8 = 5;
const ASSIGNMENT: u8 = 1;

/// Says yes to what `MySqlDialect` says yes to.
macro_rules! as_mysql {
    ($($name:ident)*) => {
        $(fn $name(&self) -> bool {
            self.mysql.$name()
        })*
    };
}

impl Dialect for Grammar {
    fn dialect(&self) -> TypeId {
        TypeId::of::<MySqlDialect>()
    }

    fn is_identifier_start(&self, c: char) -> bool {
        self.mysql.is_identifier_start(c)
    }

    fn is_identifier_part(&self, c: char) -> bool {
        self.mysql.is_identifier_part(c)
    }

    fn is_delimited_identifier_start(&self, c: char) -> bool {
        self.mysql.is_delimited_identifier_start(c)
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        self.mysql.identifier_quote_style(identifier)
    }

    fn is_table_factor_alias(&self, explicit: bool, keyword: &Keyword, parser: &mut Parser) -> bool {
        self.mysql.is_table_factor_alias(explicit, keyword, parser)
    }

    fn parse_statement(&self, parser: &mut Parser) -> Option<Result<Statement, ParserError>> {
        self.mysql.parse_statement(parser)
    }

    as_mysql! {
        supports_string_literal_backslash_escape
        supports_string_literal_concatenation
        ignores_wildcard_escapes
        supports_numeric_prefix
        supports_bitwise_shift_operators
        supports_multiline_comment_hints
        require_interval_qualifier
        supports_limit_comma
        supports_create_table_select
        supports_insert_set
        supports_user_host_grantee
        supports_table_hints
        requires_single_line_comment_whitespace
        supports_match_against
        supports_select_modifiers
        supports_set_names
        supports_comma_separated_set_assignments
        supports_update_order_by
        supports_data_type_signed_suffix
        supports_cross_join_constraint
        supports_double_ampersand_operator
        supports_binary_kw_as_cast
        supports_comment_optimizer_hint
        supports_constraint_keyword_without_name
        supports_key_column_option
        supports_group_by_with_modifier
    }

    fn supports_left_associative_joins_without_parens(&self) -> bool {
        !self.nests_joins
    }

    fn supports_bang_not_operator(&self) -> bool {
        true
    }

    fn supports_parens_around_table_factor(&self) -> bool {
        true
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        let precedence = match &parser.peek_token_ref().token {
            Token::Assignment => ASSIGNMENT,
            Token::Arrow | Token::LongArrow => ARROW,
            Token::Caret => CARET,
            Token::ShiftLeft | Token::ShiftRight => SHIFT,
            Token::Ampersand => AND_OF_BITS,
            Token::Pipe => OR_OF_BITS,
            Token::Overlap => AND,
            Token::StringConcat => OR,
            Token::Word(word) if word.keyword == Keyword::XOR => XOR,
            Token::Word(word) if word.keyword == Keyword::MOD => MULTIPLY,
            Token::Word(_) if is_sounds_like(parser) => PREDICATE,
            _ => return None,
        };
        Some(Ok(precedence))
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        match precedence {
            Precedence::Between | Precedence::Like => PREDICATE,
            Precedence::Eq | Precedence::Is => COMPARISON,
            other => self.mysql.prec_value(other),
        }
    }

    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        let (op, precedence) = match &parser.peek_token_ref().token {
            Token::ExclamationMark => (UnaryOperator::BangNot, BANG),
            Token::Minus => (UnaryOperator::Minus, NEGATIVE),
            Token::Tilde => (UnaryOperator::BitwiseNot, NEGATIVE),
            Token::Word(word) if word.quote_style.is_none() && word.keyword == Keyword::BINARY => {
                parser.next_token();
                return Some(parser.parse_subexpr(BANG).map(binary));
            }
            // ROW(a, b) is (a, b).
            Token::Word(word) if word.quote_style.is_none() && word.keyword == Keyword::ROW => {
                if parser.peek_nth_token_ref(1).token != Token::LParen {
                    return None;
                }
                parser.next_token();
                return Some(parser.parse_prefix());
            }
            Token::LParen if is_query_of_queries(parser) || is_query_of_values(parser) => {
                parser.next_token();
                let query = parser.parse_query();
                return Some(query.and_then(|query| parser.expect_token(&Token::RParen).map(|_| Expr::Subquery(query))));
            }
            _ => return None,
        };
        parser.next_token();
        Some(parser.parse_subexpr(precedence).map(|expr| Expr::UnaryOp { op, expr: Box::new(expr) }))
    }

    fn parse_infix(&self, parser: &mut Parser, expr: &Expr, precedence: u8) -> Option<Result<Expr, ParserError>> {
        if let Some(compare_op) = quantified(parser) {
            (0..3).for_each(|_| _ = parser.next_token());
            let query = parser.parse_query().and_then(|query| parser.expect_token(&Token::RParen).map(|_| query));
            return Some(query.map(|query| of_all(expr, compare_op, query)));
        }
        if parser.parse_keyword(Keyword::MOD) {
            let right = parser.parse_subexpr(precedence);
            let left = Box::new(expr.clone());
            return Some(right.map(|right| Expr::BinaryOp { left, op: BinaryOperator::Modulo, right: Box::new(right) }));
        }
        if is_sounds_like(parser) {
            parser.next_token();
            parser.next_token();
            let left = Box::new(expr.clone());
            let op = BinaryOperator::Custom(SOUNDS_LIKE.to_owned());
            return Some(parser.parse_subexpr(precedence).map(|right| Expr::BinaryOp { left, op, right: Box::new(right) }));
        }
        let negated = is_keyword(parser, 0, Keyword::NOT);
        // The parser takes NULL behind it for a word of its own.
        if [Keyword::REGEXP, Keyword::RLIKE].iter().any(|word| is_keyword(parser, usize::from(negated), *word)) {
            (0..=usize::from(negated)).for_each(|_| _ = parser.next_token());
            let (expr, pattern) = (Box::new(expr.clone()), parser.parse_subexpr(PREDICATE).map(Box::new));
            return Some(pattern.map(|pattern| Expr::RLike { negated, expr, pattern, regexp: true }));
        }
        if is_keyword(parser, usize::from(negated), Keyword::BETWEEN) {
            (0..=usize::from(negated)).for_each(|_| _ = parser.next_token());
            return Some(between(parser, expr, negated));
        }
        self.mysql.parse_infix(parser, expr, precedence)
    }
}

fn is_keyword(parser: &Parser, at: usize, keyword: Keyword) -> bool {
    matches!(&parser.peek_nth_token_ref(at).token, Token::Word(word) if word.quote_style.is_none() && word.keyword == keyword)
}

/// `SOUNDS LIKE` comes.
fn is_sounds_like(parser: &Parser) -> bool {
    let sounds = |token: &Token| matches!(token, Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("SOUNDS"));
    sounds(&parser.peek_token_ref().token) && is_keyword(parser, 1, Keyword::LIKE)
}

/// `BINARY x`.
fn binary(expr: Expr) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(expr), data_type: DataType::Binary(None), format: None }
}

/// What follows `x BETWEEN`: the upper bound may be a predicate itself.
fn between(parser: &mut Parser, expr: &Expr, negated: bool) -> Result<Expr, ParserError> {
    let low = Box::new(parser.parse_subexpr(PREDICATE)?);
    parser.expect_keyword_is(Keyword::AND)?;
    let high = Box::new(parser.parse_subexpr(PREDICATE - 1)?);
    Ok(Expr::Between { expr: Box::new(expr.clone()), negated, low, high })
}

/// `>= ALL (` and its kin come: any query may stand in the parenthesis, and nothing else. The operator, and whether all are meant.
fn quantified(parser: &Parser) -> Option<(BinaryOperator, bool)> {
    let op = match parser.peek_token_ref().token {
        Token::Eq => BinaryOperator::Eq,
        Token::Neq => BinaryOperator::NotEq,
        Token::Lt => BinaryOperator::Lt,
        Token::Gt => BinaryOperator::Gt,
        Token::LtEq => BinaryOperator::LtEq,
        Token::GtEq => BinaryOperator::GtEq,
        _ => return None,
    };
    let all = is_keyword(parser, 1, Keyword::ALL);
    let any = is_keyword(parser, 1, Keyword::ANY) || is_keyword(parser, 1, Keyword::SOME);
    ((all || any) && parser.peek_nth_token_ref(2).token == Token::LParen).then_some((op, all))
}

fn of_all(expr: &Expr, (compare_op, all): (BinaryOperator, bool), query: Box<Query>) -> Expr {
    let (left, right) = (Box::new(expr.clone()), Box::new(Expr::Subquery(query)));
    if all { Expr::AllOp { left, compare_op, right } } else { Expr::AnyOp { left, compare_op, right, is_some: false } }
}

/// `(VALUES ROW(…)`, which the parser takes for no query where an expression stands.
fn is_query_of_values(parser: &Parser) -> bool {
    is_keyword(parser, 1, Keyword::VALUES) && is_keyword(parser, 2, Keyword::ROW)
}

/// A parenthesis with a query in it that begins with a query in parentheses: `((SELECT 1) UNION (SELECT 2))`. What follows the inner
/// parenthesis tells it from `((SELECT 1) + 1)`.
fn is_query_of_queries(parser: &Parser) -> bool {
    let token = |at: usize| &parser.peek_nth_token_ref(at).token;
    let mut at = 1;
    while *token(at) == Token::LParen {
        at += 1;
    }
    let begins =
        [Keyword::SELECT, Keyword::WITH, Keyword::VALUES, Keyword::TABLE].iter().any(|word| is_keyword(parser, at, *word));
    if at < 2 || !begins {
        return false;
    }
    let mut depth = at;
    while depth > 1 {
        match token(at) {
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            Token::EOF => return false,
            _ => {}
        }
        at += 1;
    }
    let goes_on = [Keyword::UNION, Keyword::EXCEPT, Keyword::INTERSECT, Keyword::ORDER, Keyword::LIMIT];
    goes_on.iter().any(|word| is_keyword(parser, at, *word))
}
