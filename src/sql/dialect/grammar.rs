//! sqlparser's MySQL, with MySQL's precedences: sqlparser's own bind `->` weaker and XOR, `|`, `&` and shifts otherwise than MySQL does.

use std::any::TypeId;

use sqlparser::ast::{BinaryOperator, Expr, Statement};
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

const ARROW: u8 = 60;
const CARET: u8 = 45;
const MULTIPLY: u8 = 40;
const SHIFT: u8 = 28;
const AND_OF_BITS: u8 = 27;
const OR_OF_BITS: u8 = 26;
const AND: u8 = 10;
const XOR: u8 = 7;
const OR: u8 = 5;

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

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        let precedence = match &parser.peek_token_ref().token {
            Token::Arrow | Token::LongArrow => ARROW,
            Token::Caret => CARET,
            Token::ShiftLeft | Token::ShiftRight => SHIFT,
            Token::Ampersand => AND_OF_BITS,
            Token::Pipe => OR_OF_BITS,
            Token::Overlap => AND,
            Token::StringConcat => OR,
            Token::Word(word) if word.keyword == Keyword::XOR => XOR,
            Token::Word(word) if word.keyword == Keyword::MOD => MULTIPLY,
            _ => return None,
        };
        Some(Ok(precedence))
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        self.mysql.prec_value(precedence)
    }

    fn parse_infix(&self, parser: &mut Parser, expr: &Expr, precedence: u8) -> Option<Result<Expr, ParserError>> {
        if parser.parse_keyword(Keyword::MOD) {
            let right = parser.parse_subexpr(precedence);
            let left = Box::new(expr.clone());
            return Some(right.map(|right| Expr::BinaryOp { left, op: BinaryOperator::Modulo, right: Box::new(right) }));
        }
        self.mysql.parse_infix(parser, expr, precedence)
    }
}
