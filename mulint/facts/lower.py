"""Python source text to the plain data of ``syntax``: a pure function of the text.

Read with the standard ``ast``: about a tenth of the cost of a concrete syntax tree, and every node
carries its exact range, which is all that findings and edits need.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence

from mulint.facts import syntax as s
from mulint.facts.spans import Span, span_of

_OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
    ast.MatMult: "@",
    ast.LShift: "<<",
    ast.RShift: ">>",
    ast.BitOr: "|",
    ast.BitXor: "^",
    ast.BitAnd: "&",
    ast.UAdd: "+",
    ast.USub: "-",
    ast.Not: "not",
    ast.Invert: "~",
    ast.And: "and",
    ast.Or: "or",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Is: "is",
    ast.IsNot: "is not",
    ast.In: "in",
    ast.NotIn: "not in",
}


class Lowering:
    """Lowers the nodes of one file; holds its lines to turn byte columns into characters."""

    def __init__(self, text: str) -> None:
        self._ascii = text.isascii()
        # Only these end a line for Python's tokenizer; str.splitlines knows many more.
        self._lines = [] if self._ascii else text.replace("\r\n", "\n").replace("\r", "\n").split("\n")

    def body(self, statements: Iterable[ast.stmt]) -> tuple[s.Statement, ...]:
        """Lower a block; statements that say nothing are dropped."""
        return tuple(lowered for node in statements for lowered in self._statement(node))

    def span(self, node: ast.AST) -> Span:
        """The range of a node in 1-based lines and character columns."""
        line, end_line = node.lineno, node.end_lineno  # type: ignore[attr-defined]
        start, end = node.col_offset, node.end_col_offset  # type: ignore[attr-defined]
        if self._ascii:
            return span_of(line, start + 1, end_line, end + 1)
        return span_of(line, self._column(line, start), end_line, self._column(end_line, end))

    def _column(self, line: int, offset: int) -> int:
        return len(self._lines[line - 1].encode()[:offset].decode(errors="replace")) + 1

    # Statements

    def _statement(self, node: ast.stmt) -> Sequence[s.Statement]:
        span = self.span(node)
        match node:
            case ast.Assign():
                targets = tuple(self.expression(t) for t in node.targets)
                return (s.Assign(span, targets, self.expression(node.value)),)
            case ast.AnnAssign():
                value = self.expression(node.value) if node.value else None
                annotation = self.expression(node.annotation)
                return (s.Assign(span, (self.expression(node.target),), value, annotation),)
            case ast.AugAssign():
                operator = _OPERATORS[type(node.op)]
                return (
                    s.AugmentedAssign(span, self.expression(node.target), operator, self.expression(node.value)),
                )
            case ast.Expr():
                if isinstance(node.value, ast.Constant):
                    return ()
                return (s.Evaluate(span, self.expression(node.value)),)
            case ast.Return():
                return (s.Return(span, self.expression(node.value) if node.value else None),)
            case ast.Raise():
                return (s.Leave(span, "raise"),)
            case ast.Break():
                return (s.Leave(span, "break"),)
            case ast.Continue():
                return (s.Leave(span, "continue"),)
            case ast.Import():
                return tuple(self._import(span, alias) for alias in node.names)
            case ast.ImportFrom():
                module, level = node.module or "", node.level
                return tuple(
                    s.Import(span, module, alias.name, alias.asname or alias.name, level) for alias in node.names
                )
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                decorators = tuple(self.expression(d) for d in node.decorator_list)
                body = self.body(node.body)
                return (s.Function(span, node.name, self._parameters(node.args), body, decorators),)
            case ast.ClassDef():
                return (self._class(span, node),)
            case _:
                return self._compound(span, node)

    def _compound(self, span: Span, node: ast.stmt) -> Sequence[s.Statement]:
        match node:
            case ast.If():
                return (s.If(span, self.expression(node.test), self.body(node.body), self.body(node.orelse)),)
            case ast.For() | ast.AsyncFor():
                target, iterable = self.expression(node.target), self.expression(node.iter)
                return (s.For(span, target, iterable, self.body(node.body), self.body(node.orelse)),)
            case ast.While():
                return (s.While(span, self.expression(node.test), self.body(node.body)),)
            case ast.With() | ast.AsyncWith():
                items = tuple(
                    (
                        self.expression(i.context_expr),
                        self.expression(i.optional_vars) if i.optional_vars else None,
                    )
                    for i in node.items
                )
                return (s.With(span, items, self.body(node.body)),)
            case ast.Try() | ast.TryStar():
                handlers = tuple(self.body(h.body) for h in node.handlers)
                return (s.Try(span, self.body([*node.body, *node.orelse]), handlers, self.body(node.finalbody)),)
            case ast.Match():
                subject = self.expression(node.subject)
                return (s.Evaluate(span, subject), *self._cases(span, node.cases))
            case _:  # assert, del, pass, global, nonlocal, type aliases
                return ()

    def _cases(self, span: Span, cases: Sequence[ast.match_case]) -> tuple[s.Statement, ...]:
        """Read ``match`` as a chain of tests whose outcome is not known."""
        if not cases:
            return ()
        unknown = s.Opaque(span, "match")
        return (s.If(span, unknown, self.body(cases[0].body), self._cases(span, cases[1:])),)

    def _import(self, span: Span, alias: ast.alias) -> s.Import:
        if alias.asname:
            return s.Import(span, alias.name, None, alias.asname, 0)
        top = alias.name.partition(".")[0]
        return s.Import(span, top, None, top, 0)

    def _class(self, span: Span, node: ast.ClassDef) -> s.Class:
        return s.Class(
            span,
            node.name,
            tuple(self.expression(b) for b in node.bases),
            tuple(s.Keyword(k.arg, self.expression(k.value)) for k in node.keywords),
            self.body(node.body),
            tuple(self.expression(d) for d in node.decorator_list),
        )

    def _parameters(self, arguments: ast.arguments) -> tuple[s.Parameter, ...]:
        positional = [*arguments.posonlyargs, *arguments.args]
        defaults: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
        defaults += arguments.defaults
        found = [self._parameter(a, "positional", d) for a, d in zip(positional, defaults, strict=True)]
        if arguments.vararg:
            found.append(self._parameter(arguments.vararg, "*", None))
        found += [
            self._parameter(a, "keyword", d)
            for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        ]
        if arguments.kwarg:
            found.append(self._parameter(arguments.kwarg, "**", None))
        return tuple(found)

    def _parameter(self, argument: ast.arg, kind: str, default: ast.expr | None) -> s.Parameter:
        annotation = self.expression(argument.annotation) if argument.annotation else None
        value = self.expression(default) if default else None
        return s.Parameter(self.span(argument), argument.arg, kind, value, annotation)

    # Expressions

    def expression(self, node: ast.expr) -> s.Expression:
        """Lower one expression."""
        span = self.span(node)
        match node:
            case ast.Name():
                return s.Name(span, node.id)
            case ast.Constant():
                if node.value is ...:
                    return s.Opaque(span, "...")
                return s.Literal(span, node.value)
            case ast.Attribute():
                return s.Attribute(span, self.expression(node.value), node.attr)
            case ast.Call():
                return s.Call(
                    span,
                    self.expression(node.func),
                    tuple(self.expression(a) for a in node.args),
                    tuple(s.Keyword(k.arg, self.expression(k.value)) for k in node.keywords),
                )
            case ast.BinOp():
                operator = _OPERATORS[type(node.op)]
                return s.Binary(span, operator, self.expression(node.left), self.expression(node.right))
            case ast.UnaryOp():
                return s.Unary(span, _OPERATORS[type(node.op)], self.expression(node.operand))
            case ast.BoolOp():
                operands = tuple(self.expression(v) for v in node.values)
                return s.Boolean(span, _OPERATORS[type(node.op)], operands)
            case ast.Compare():
                operators = tuple(_OPERATORS[type(o)] for o in node.ops)
                rights = tuple(self.expression(c) for c in node.comparators)
                return s.Compare(span, self.expression(node.left), operators, rights)
            case ast.IfExp():
                then, otherwise = self.expression(node.body), self.expression(node.orelse)
                return s.Conditional(span, self.expression(node.test), then, otherwise)
            case ast.Subscript():
                return s.Subscript(span, self.expression(node.value), self.expression(node.slice))
            case _:
                return self._collection(span, node)

    def _collection(self, span: Span, node: ast.expr) -> s.Expression:
        match node:
            case ast.List(elts=items):
                return s.Display(span, "list", tuple(self.expression(i) for i in items))
            case ast.Tuple(elts=items):
                return s.Display(span, "tuple", tuple(self.expression(i) for i in items))
            case ast.Set(elts=items):
                return s.Display(span, "set", tuple(self.expression(i) for i in items))
            case ast.Dict():
                keys = tuple(self.expression(k) if k else None for k in node.keys)
                return s.DictDisplay(span, keys, tuple(self.expression(v) for v in node.values))
            case ast.ListComp():
                return s.Comprehension(span, "list", None, self.expression(node.elt), self._generators(node))
            case ast.SetComp():
                return s.Comprehension(span, "set", None, self.expression(node.elt), self._generators(node))
            case ast.GeneratorExp():
                return s.Comprehension(span, "generator", None, self.expression(node.elt), self._generators(node))
            case ast.DictComp():
                key, value = self.expression(node.key), self.expression(node.value)
                return s.Comprehension(span, "dict", key, value, self._generators(node))
            case ast.Starred():
                return s.Starred(span, self.expression(node.value))
            case ast.Slice():
                return s.Slice(
                    span, *(self.expression(p) if p else None for p in (node.lower, node.upper, node.step))
                )
            case ast.Lambda():
                return s.Lambda(span, self._parameters(node.args), self.expression(node.body))
            case ast.JoinedStr():
                return s.Format(span, tuple(self.expression(v) for v in node.values))
            case ast.FormattedValue():
                return self.expression(node.value)
            case ast.NamedExpr():
                return s.Walrus(span, s.Name(self.span(node.target), node.target.id), self.expression(node.value))
            case ast.Await():
                return self.expression(node.value)
            case _:
                return s.Opaque(span, type(node).__name__.lower())

    def _generators(
        self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp
    ) -> tuple[s.Generator, ...]:
        return tuple(
            s.Generator(
                self.expression(g.target), self.expression(g.iter), tuple(self.expression(i) for i in g.ifs)
            )
            for g in node.generators
        )
