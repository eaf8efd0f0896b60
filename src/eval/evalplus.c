/* SPDX-License-Identifier: Apache-2.0 */
#include "eval/evalplus.h"

/* Runs in a name space of its own, whatever the answer called its functions. */
static const char script[] =
    "import cmath, copy, json, numbers\n"
    "work = json.loads(work.encode('utf-16', 'surrogatepass').decode('utf-16'))\n"
    "name, space = work['entry_point'], {}\n"
    "exec(work['prompt'] + work['canonical_solution'], space)\n"
    "def is_floats(x):\n"
    "    if isinstance(x, (list, tuple)):\n"
    "        return all(isinstance(i, float) for i in x)\n"
    "    return isinstance(x, float)\n"
    "def is_close(a, b, atol):\n"
    "    if isinstance(b, (list, tuple)):\n"
    "        return (isinstance(a, (list, tuple)) and len(a) == len(b) and\n"
    "                all(is_close(x, y, atol) for x, y in zip(a, b)))\n"
    "    if not isinstance(a, numbers.Number) or not isinstance(b, numbers.Number):\n"
    "        raise TypeError('no numbers to compare')\n"
    "    return a == b or (cmath.isfinite(a) and cmath.isfinite(b) and\n"
    "                      abs(a - b) <= atol + 1e-7 * abs(b))\n"
    "def check(given, out, expected, atol):\n"
    "    if name == 'find_zero':\n"
    "        assert abs(sum(c * out ** i for i, c in enumerate(given[0]))) <= atol\n"
    "        return\n"
    "    if atol == 0 and is_floats(expected):\n"
    "        atol = 1e-6\n"
    "    if out == expected:\n"
    "        return\n"
    "    assert atol != 0 and type(out) is type(expected) and is_close(out, expected, atol)\n"
    "copied = copy.deepcopy\n"
    "inputs = work['base_input'] + work['plus_input']\n"
    "expected = [space[name](*copied(given)) for given in inputs]\n"
    "for given, want in zip(inputs, expected):\n"
    "    check(given, candidate(*copied(given)), want, work['atol'])\n";

bool auk_evalplus_has_inputs(const json_t *record)
{
    return json_object_get(record, "plus_input") != NULL &&
           json_object_get(record, "assertion") == NULL;
}

static bool are_lists(const json_t *list)
{
    const json_t *v;
    size_t i;

    if (!json_is_array(list))
        return false;
    json_array_foreach(list, i, v)
    {
        if (!json_is_array(v))
            return false;
    }
    return true;
}

int auk_evalplus_tests(auk_buf *out, const json_t *record, auk_err *err)
{
    auk_str line = auk_json_str(json_object_get(record, AUK_EVALPLUS_LINE));

    if (!are_lists(json_object_get(record, "base_input")) ||
        !are_lists(json_object_get(record, "plus_input")))
        return auk_fail(err, AUK_EFORMAT,
                        "'base_input' and 'plus_input' are not lists of arguments");
    if (!json_is_number(json_object_get(record, "atol")))
        return auk_fail(err, AUK_EFORMAT, "'atol' is not a number");
    if (line.p == NULL)
        return auk_fail(err, AUK_EFORMAT, "tasks with inputs stand on a line each");
    /* in ASCII a JSON string is a Python literal */
    auk_buf_puts(out, "exec(");
    auk_json_print_string(out, auk_str_of(script), true);
    auk_buf_printf(out, ", {\"candidate\": %s, \"work\": ",
                   json_string_value(json_object_get(record, "entry_point")));
    auk_json_print_string(out, line, true);
    auk_buf_puts(out, "})\n");
    return AUK_OK;
}
