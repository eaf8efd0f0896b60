/* SPDX-License-Identifier: Apache-2.0 */
/* What each agent reads was taken from its own documentation and help, and tried with the versions
 * that docs/clients.md names. */
#include "cli/agents.h"

/* ---- Codex -------------------------------------------------------------------------------- */

static const char *const codex_env[] = {"CODEX_HOME=@DIR@", "AUKLET_API_KEY=@KEY@", NULL};
static const auk_agent_file codex_files[] = {
    {"config.toml", "model = \"@MODEL@\"\n"
                    "model_provider = \"auklet\"\n"
                    "model_catalog_json = \"@DIR@/models.json\"\n"
                    "model_context_window = @CTX@\n"
                    "model_auto_compact_token_limit = @COMPACT@\n"
                    "check_for_update_on_startup = false\n"
                    "web_search = \"disabled\"\n"
                    "\n"
                    "[analytics]\n"
                    "enabled = false\n"
                    "\n"
                    "[feedback]\n"
                    "enabled = false\n"
                    "\n"
                    "[model_providers.auklet]\n"
                    "name = \"auklet\"\n"
                    "base_url = \"@URL@/v1\"\n"
                    "wire_api = \"responses\"\n"
                    "env_key = \"AUKLET_API_KEY\"\n"
                    "stream_idle_timeout_ms = 1000000\n"
                    "request_max_retries = 2\n"
                    "stream_max_retries = 2\n"},
    {"models.json",
     "{\"models\": [{\n"
     "  \"slug\": \"@MODEL@\", \"display_name\": \"@MODEL@\", \"description\": \"local\",\n"
     "  \"supported_reasoning_levels\": [], \"shell_type\": \"unified_exec\",\n"
     "  \"visibility\": \"list\", \"supported_in_api\": true, \"priority\": 1,\n"
     "  \"base_instructions\": \"You are a coding agent in the user's terminal. Work with the "
     "tools until the task is done, then say briefly what you did.\",\n"
     "  \"supports_reasoning_summaries\": false, \"support_verbosity\": false,\n"
     "  \"apply_patch_tool_type\": \"freeform\", \"supports_parallel_tool_calls\": true,\n"
     "  \"truncation_policy\": {\"mode\": \"tokens\", \"limit\": 4000},\n"
     "  \"context_window\": @CTX@, \"max_context_window\": @CTX@,\n"
     "  \"auto_compact_token_limit\": @COMPACT@, \"effective_context_window_percent\": 95,\n"
     "  \"experimental_supported_tools\": [], \"input_modalities\": [\"text\"]\n"
     "}]}\n"},
    {0}};

/* ---- Claude Code -------------------------------------------------------------------------- */

static const char *const claude_env[] = {"ANTHROPIC_BASE_URL=@URL@",
                                         "ANTHROPIC_AUTH_TOKEN=@KEY@",
                                         "ANTHROPIC_API_KEY=",
                                         "ANTHROPIC_MODEL=@MODEL@",
                                         "ANTHROPIC_DEFAULT_OPUS_MODEL=@MODEL@",
                                         "ANTHROPIC_DEFAULT_SONNET_MODEL=@MODEL@",
                                         "ANTHROPIC_DEFAULT_HAIKU_MODEL=@MODEL@",
                                         "CLAUDE_CODE_SUBAGENT_MODEL=@MODEL@",
                                         "CLAUDE_CODE_AUTO_COMPACT_WINDOW=@CTX@",
                                         "CLAUDE_CODE_MAX_OUTPUT_TOKENS=@MAX@",
                                         "CLAUDE_STREAM_IDLE_TIMEOUT_MS=600000",
                                         "API_TIMEOUT_MS=3000000",
                                         "CLAUDE_CODE_DISABLE_NONSTREAMING_FALLBACK=1",
                                         "CLAUDE_CODE_ATTRIBUTION_HEADER=0",
                                         "CLAUDE_CODE_TOTAL_TOKENS_REMINDER=off",
                                         "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1",
                                         "CLAUDE_CODE_DISABLE_FEEDBACK_SURVEY=1",
                                         "DISABLE_TELEMETRY=1",
                                         "DISABLE_ERROR_REPORTING=1",
                                         "DISABLE_FEEDBACK_COMMAND=1",
                                         "DISABLE_AUTOUPDATER=1",
                                         NULL};

/* ---- OpenCode ----------------------------------------------------------------------------- */

static const char *const opencode_env[] = {
    "OPENCODE_CONFIG=@DIR@/opencode.json", "OPENCODE_DISABLE_AUTOUPDATE=1",
    "OPENCODE_DISABLE_MODELS_FETCH=1", "OPENCODE_DISABLE_SHARE=1", NULL};
static const auk_agent_file opencode_files[] = {
    {"opencode.json",
     "{\n"
     "  \"model\": \"auklet/@MODEL@\",\n"
     "  \"small_model\": \"auklet/@MODEL@\",\n"
     "  \"autoupdate\": false,\n"
     "  \"share\": \"disabled\",\n"
     "  \"enabled_providers\": [\"auklet\"],\n"
     "  \"provider\": {\"auklet\": {\n"
     "    \"npm\": \"@ai-sdk/openai-compatible\",\n"
     "    \"name\": \"auklet\",\n"
     "    \"options\": {\"baseURL\": \"@URL@/v1\", \"apiKey\": \"@KEY@\", \"timeout\": false},\n"
     "    \"models\": {\"@MODEL@\": {\n"
     "      \"name\": \"@MODEL@\", \"tool_call\": true, \"reasoning\": true,\n"
     "      \"limit\": {\"context\": @CTX@, \"output\": @MAX@}\n"
     "    }}\n"
     "  }}\n"
     "}\n"},
    {0}};

/* ---- Cline -------------------------------------------------------------------------------- */

static const auk_agent_file cline_files[] = {
    {"settings/providers.json",
     "{\n"
     "  \"version\": 1,\n"
     "  \"lastUsedProvider\": \"openai-compatible\",\n"
     "  \"modes\": {},\n"
     "  \"providers\": {\"openai-compatible\": {\n"
     "    \"settings\": {\n"
     "      \"provider\": \"openai-compatible\", \"apiKey\": \"@KEY@\",\n"
     "      \"model\": \"@MODEL@\", \"baseUrl\": \"@URL@/v1\",\n"
     "      \"contextWindow\": @CTX@, \"maxTokens\": @MAX@, \"timeout\": 3000000\n"
     "    },\n"
     "    \"updatedAt\": \"2026-01-01T00:00:00.000Z\", \"tokenSource\": \"manual\"\n"
     "  }}\n"
     "}\n"},
    {"settings/global-settings.json",
     "{\"telemetryOptOut\": true, \"autoUpdateEnabled\": false}\n"},
    {0}};
static const char *const cline_env[] = {"CLINE_TELEMETRY_DISABLED=1", "DO_NOT_TRACK=1", NULL};
static const char *const cline_args[] = {"--data-dir", "@DIR@",   "-P", "openai-compatible",
                                         "-m",         "@MODEL@", NULL};

/* ---- Continue ----------------------------------------------------------------------------- */

static const char *const continue_env[] = {
    "CONTINUE_GLOBAL_DIR=@DIR@", "CONTINUE_TELEMETRY_ENABLED=0", "CONTINUE_METRICS_ENABLED=0",
    "CONTINUE_CLI_ENABLE_TELEMETRY=0", NULL};
static const auk_agent_file continue_files[] = {{"config.yaml", "name: auklet\n"
                                                                "version: 1.0.0\n"
                                                                "schema: v1\n"
                                                                "models:\n"
                                                                "  - name: \"@MODEL@\"\n"
                                                                "    provider: openai\n"
                                                                "    model: \"@MODEL@\"\n"
                                                                "    apiBase: \"@URL@/v1\"\n"
                                                                "    apiKey: \"@KEY@\"\n"
                                                                "    useResponsesApi: false\n"
                                                                "    roles: [chat, edit, apply]\n"
                                                                "    capabilities: [tool_use]\n"
                                                                "    defaultCompletionOptions:\n"
                                                                "      contextLength: @CTX@\n"
                                                                "      maxTokens: @MAX@\n"
                                                                "    requestOptions:\n"
                                                                "      timeout: 3000000\n"},
                                                {0}};
static const char *const continue_args[] = {"--config", "@DIR@/config.yaml", NULL};

/* ---- Crush -------------------------------------------------------------------------------- */

static const char *const crush_env[] = {"CRUSH_GLOBAL_CONFIG=@DIR@",
                                        "CRUSH_GLOBAL_DATA=@DIR@/data",
                                        "CRUSH_DISABLE_METRICS=1",
                                        "CRUSH_DISABLE_PROVIDER_AUTO_UPDATE=1",
                                        "DO_NOT_TRACK=1",
                                        NULL};
static const auk_agent_file crush_files[] = {
    {"crush.json",
     "{\n"
     "  \"options\": {\"disable_metrics\": true, \"disable_provider_auto_update\": true},\n"
     "  \"providers\": {\"auklet\": {\n"
     "    \"name\": \"auklet\", \"type\": \"openai-compat\",\n"
     "    \"base_url\": \"@URL@/v1\", \"api_key\": \"@KEY@\",\n"
     "    \"models\": [{\"id\": \"@MODEL@\", \"name\": \"@MODEL@\", \"context_window\": @CTX@,\n"
     "      \"default_max_tokens\": @MAX@, \"can_reason\": false}]\n"
     "  }},\n"
     "  \"models\": {\n"
     "    \"large\": {\"model\": \"@MODEL@\", \"provider\": \"auklet\", \"max_tokens\": @MAX@},\n"
     "    \"small\": {\"model\": \"@MODEL@\", \"provider\": \"auklet\", \"max_tokens\": @MAX@}\n"
     "  }\n"
     "}\n"},
    {0}};

/* ---- Qwen Code ---------------------------------------------------------------------------- */

static const char *const qwen_env[] = {"QWEN_HOME=@DIR@",      "AUKLET_API_KEY=@KEY@",
                                       "OPENAI_API_KEY=@KEY@", "OPENAI_BASE_URL=@URL@/v1",
                                       "OPENAI_MODEL=@MODEL@", NULL};
static const auk_agent_file qwen_files[] = {
    {"settings.json",
     "{\n"
     "  \"$version\": 4,\n"
     "  \"general\": {\"enableAutoUpdate\": false},\n"
     "  \"privacy\": {\"usageStatisticsEnabled\": false},\n"
     "  \"telemetry\": {\"enabled\": false},\n"
     "  \"security\": {\"auth\": {\"selectedType\": \"openai\"}},\n"
     "  \"model\": {\"name\": \"@MODEL@\"},\n"
     "  \"modelProviders\": {\"openai\": [{\n"
     "    \"id\": \"@MODEL@\", \"name\": \"@MODEL@\", \"baseUrl\": \"@URL@/v1\",\n"
     "    \"envKey\": \"AUKLET_API_KEY\",\n"
     "    \"generationConfig\": {\"timeout\": 3000000, \"maxRetries\": 2,\n"
     "      \"contextWindowSize\": @CTX@, \"samplingParams\": {\"max_tokens\": @MAX@}}\n"
     "  }]}\n"
     "}\n"},
    {0}};

/* ---- pi ----------------------------------------------------------------------------------- */

static const char *const pi_env[] = {"PI_CODING_AGENT_DIR=@DIR@", "PI_OFFLINE=1", "PI_TELEMETRY=0",
                                     "PI_SKIP_VERSION_CHECK=1", NULL};
static const auk_agent_file pi_files[] = {
    {"models.json",
     "{\"providers\": {\"auklet\": {\n"
     "  \"baseUrl\": \"@URL@/v1\", \"api\": \"openai-completions\", \"apiKey\": \"@KEY@\",\n"
     "  \"models\": [{\"id\": \"@MODEL@\", \"name\": \"@MODEL@\", \"reasoning\": true,\n"
     "    \"contextWindow\": @CTX@, \"maxTokens\": @MAX@}]\n"
     "}}}\n"},
    {"settings.json", "{\"defaultProvider\": \"auklet\", \"defaultModel\": \"@MODEL@\", "
                      "\"enableInstallTelemetry\": false, \"httpIdleTimeoutMs\": 600000,\n"
                      " \"compaction\": {\"enabled\": true, \"reserveTokens\": @MAX@}}\n"},
    {0}};
static const char *const pi_args[] = {"--provider", "auklet", "--model", "@MODEL@", NULL};

/* ---- aider -------------------------------------------------------------------------------- */

static const char *const aider_env[] = {"OLLAMA_API_BASE=@URL@",
                                        "OLLAMA_API_KEY=@KEY@",
                                        "AIDER_ANALYTICS=false",
                                        "AIDER_CHECK_UPDATE=false",
                                        "AIDER_SHOW_RELEASE_NOTES=false",
                                        "LITELLM_LOCAL_MODEL_COST_MAP=True",
                                        NULL};
static const auk_agent_file aider_files[] = {
    {"model.settings.yml", "- name: \"ollama_chat/@MODEL@\"\n"
                           "  edit_format: diff\n"
                           "  use_repo_map: true\n"
                           "  extra_params:\n"
                           "    num_ctx: @CTX@\n"
                           "    max_tokens: @MAX@\n"},
    {"model.metadata.json", "{\"ollama_chat/@MODEL@\": {\"max_input_tokens\": @CTX@, "
                            "\"max_tokens\": @CTX@, \"max_output_tokens\": @MAX@,\n"
                            "  \"input_cost_per_token\": 0, \"output_cost_per_token\": 0,\n"
                            "  \"litellm_provider\": \"ollama_chat\", \"mode\": \"chat\"}}\n"},
    {0}};
static const char *const aider_args[] = {"--model",
                                         "ollama_chat/@MODEL@",
                                         "--model-settings-file",
                                         "@DIR@/model.settings.yml",
                                         "--model-metadata-file",
                                         "@DIR@/model.metadata.json",
                                         "--timeout",
                                         "3000",
                                         NULL};

/* ---- mini-swe-agent ----------------------------------------------------------------------- */

static const char *const mini_env[] = {"MSWEA_GLOBAL_CONFIG_DIR=@DIR@",     "MSWEA_CONFIGURED=true",
                                       "MSWEA_COST_TRACKING=ignore_errors", "OPENAI_API_KEY=@KEY@",
                                       "LITELLM_LOCAL_MODEL_COST_MAP=True", NULL};
static const auk_agent_file mini_files[] = {{"auklet.yaml", "model:\n"
                                                            "  model_name: \"openai/@MODEL@\"\n"
                                                            "  model_kwargs:\n"
                                                            "    api_base: \"@URL@/v1\"\n"
                                                            "    max_tokens: @MAX@\n"
                                                            "    timeout: 3000\n"
                                                            "    drop_params: true\n"},
                                            {0}};
static const char *const mini_args[] = {"-c", "mini.yaml", "-c", "@DIR@/auklet.yaml", NULL};

/* ---- open-interpreter --------------------------------------------------------------------- */

static const char *const interpreter_env[] = {"LITELLM_LOCAL_MODEL_COST_MAP=True",
                                              "ANONYMIZED_TELEMETRY=False", "DO_NOT_TRACK=1", NULL};
static const char *const interpreter_args[] = {"--model",
                                               "openai/@MODEL@",
                                               "--api_base",
                                               "@URL@/v1",
                                               "--api_key",
                                               "@KEY@",
                                               "--context_window",
                                               "@CTX@",
                                               "--max_tokens",
                                               "@MAX@",
                                               "--llm_supports_functions",
                                               "--disable_telemetry",
                                               NULL};

/* ---- OpenHands ---------------------------------------------------------------------------- */

static const char *const openhands_env[] = {"LLM_MODEL=openai/@MODEL@",
                                            "LLM_BASE_URL=@URL@/v1",
                                            "LLM_API_KEY=@KEY@",
                                            "OPENHANDS_PERSISTENCE_DIR=@DIR@",
                                            "OPENHANDS_SUPPRESS_BANNER=1",
                                            "LITELLM_LOCAL_MODEL_COST_MAP=True",
                                            "DO_NOT_TRACK=1",
                                            NULL};
static const char *const openhands_args[] = {"--override-with-envs", NULL};

/* ---- llm ---------------------------------------------------------------------------------- */

static const char *const llm_env[] = {"LLM_USER_PATH=@DIR@", "AUKLET_API_KEY=@KEY@",
                                      "LLM_MODEL=auklet", NULL};
static const auk_agent_file llm_files[] = {{"extra-openai-models.yaml",
                                            "- model_id: auklet\n"
                                            "  model_name: \"@MODEL@\"\n"
                                            "  api_base: \"@URL@/v1\"\n"
                                            "  supports_tools: true\n"
                                            "  supports_schema: true\n"},
                                           {"keys.json", "{\"openai\": \"@KEY@\"}\n"},
                                           {"default_model.txt", "auklet"},
                                           {0}};

/* ---- the table ---------------------------------------------------------------------------- */

static const char *const nothing[] = {NULL};

const auk_agent auk_agents[] = {
    {"codex", "Codex", "codex", "npm install -g @openai/codex", "responses", 6000, codex_env,
     codex_files, nothing, "exec", ""},
    {"claude", "Claude Code", "claude", "npm install -g @anthropic-ai/claude-code", "anthropic",
     13000, claude_env, NULL, nothing, NULL, "-p"},
    {"opencode", "OpenCode", "opencode", "npm install -g opencode-ai", "openai", 8000, opencode_env,
     opencode_files, nothing, "run", ""},
    {"cline", "Cline", "cline", "npm install -g cline", "openai", 6000, cline_env, cline_files,
     cline_args, NULL, ""},
    {"continue", "Continue", "cn", "npm install -g @continuedev/cli", "openai", 2300, continue_env,
     continue_files, continue_args, NULL, "-p"},
    {"crush", "Crush", "crush", "npm install -g @charmland/crush", "openai", 8000, crush_env,
     crush_files, nothing, "run", ""},
    {"qwen", "Qwen Code", "qwen", "npm install -g @qwen-code/qwen-code", "openai", 20000, qwen_env,
     qwen_files, nothing, NULL, "-p"},
    {"pi", "pi", "pi", "npm install -g @mariozechner/pi-coding-agent", "openai", 1600, pi_env,
     pi_files, pi_args, NULL, "-p"},
    {"aider", "aider", "aider", "pip install aider-chat", "ollama", 3000, aider_env, aider_files,
     aider_args, NULL, "--message"},
    {"mini", "mini-swe-agent", "mini", "pip install mini-swe-agent", "openai", 1100, mini_env,
     mini_files, mini_args, NULL, "-t"},
    {"interpreter", "open-interpreter", "interpreter",
     "pip install open-interpreter 'setuptools<80'", "openai", 2300, interpreter_env, NULL,
     interpreter_args, NULL, NULL},
    {"openhands", "OpenHands", "openhands", "pip install openhands", "openai", 9000, openhands_env,
     NULL, openhands_args, NULL, "-t"},
    {"llm", "llm", "llm", "pip install llm", "openai", 50, llm_env, llm_files, nothing, NULL, ""},
};
const size_t auk_n_agents = sizeof auk_agents / sizeof *auk_agents;

/* 6,000 tokens: two files of 300 lines, what was said, an answer of 1,000. */
int auk_agent_window(const auk_agent *a)
{
    return a->prompt_tok + 6000;
}

const auk_agent *auk_agent_find(const char *name)
{
    for (size_t i = 0; i < auk_n_agents; i++)
        if (strcmp(auk_agents[i].name, name) == 0)
            return &auk_agents[i];
    return NULL;
}

/* ---- filling in --------------------------------------------------------------------------- */

static const char plain_signs[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "-._~:/+@%[]";

static int plain(const char *what, const char *text, auk_err *err)
{
    size_t n = strspn(text, plain_signs);

    if (text[0] == 0 || text[n] != 0)
        return auk_fail(err, AUK_EINVAL,
                        "the %s '%s' cannot stand in the agents' files: use letters, digits and "
                        "- . _ ~ : / + @ %%",
                        what, text);
    return AUK_OK;
}

int auk_agent_setup_check(const auk_agent_setup *s, auk_err *err)
{
    int rc = plain("URL", s->url, err);
    if (rc == AUK_OK)
        rc = plain("model", s->model, err);
    if (rc == AUK_OK)
        rc = plain("key", s->key, err);
    for (const char *p = s->dir; rc == AUK_OK && *p != 0; p++)
        if ((unsigned char)*p < 0x20 || *p == '"' || *p == '\\' || *p == 0x7f)
            rc = auk_fail(err, AUK_EINVAL,
                          "the folder's name holds a quote, a backslash or a control character: "
                          "give another with -o");
    return rc;
}

void auk_agent_fill(auk_buf *out, const char *text, const auk_agent_setup *s)
{
    const struct {
        const char *name, *text;
        int number;
    } names[] = {{"@URL@", s->url, 0},
                 {"@MODEL@", s->model, 0},
                 {"@KEY@", s->key, 0},
                 {"@DIR@", s->dir, 0},
                 {"@CTX@", NULL, s->ctx},
                 {"@MAX@", NULL, s->max},
                 {"@COMPACT@", NULL, s->ctx / 10 * 8}};

    while (*text != 0) {
        size_t n = strcspn(text, "@"), i = 0;
        auk_buf_add(out, text, n);
        text += n;
        while (i < sizeof names / sizeof *names &&
               strncmp(text, names[i].name, strlen(names[i].name)) != 0)
            i++;
        if (i == sizeof names / sizeof *names) { /* an @ of its own, or the end */
            if (*text != 0)
                auk_buf_putc(out, *text++);
            continue;
        }
        if (names[i].text != NULL)
            auk_buf_puts(out, names[i].text);
        else
            auk_buf_printf(out, "%d", names[i].number);
        text += strlen(names[i].name);
    }
}
