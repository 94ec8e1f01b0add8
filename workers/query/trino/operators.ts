/** Operators by the parser's names for them, as DuckDB writes them; what is not here is refused. */

export const BINARY_OPERATORS: Readonly<Record<string, string>> = {
  Eq: "=",
  NotEq: "<>",
  Gt: ">",
  GtEq: ">=",
  Lt: "<",
  LtEq: "<=",
  And: "AND",
  Or: "OR",
  Plus: "+",
  Minus: "-",
  Multiply: "*",
  Divide: "/",
  Modulo: "%",
  StringConcat: "||",
  DuckIntegerDivide: "//",
  BitwiseAnd: "&",
  BitwiseOr: "|",
  PGBitwiseShiftLeft: "<<",
  PGBitwiseShiftRight: ">>",
};

export const UNARY_OPERATORS: Readonly<Record<string, string>> = { Minus: "-", Plus: "+", Not: "NOT " };
