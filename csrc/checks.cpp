#include "checks.h"

#include <stdexcept>

#include "activations.h"

namespace furet {
namespace {

bool holds_floats(const Buffer& b) { return b.kind == Kind::F32 || b.kind == Kind::Out; }

std::string text(int64_t n) { return std::to_string(n); }

constexpr const char* kAnotherModel = "the cache was made for another model";

void require_fit(const Cache& cache, Keys keys, int layer, int head_dim, int64_t width) {
    const std::vector<KeyValues>& layers = keys == Keys::Memory ? cache.memory : cache.layers;
    require((size_t)layer < layers.size(), kAnotherModel);
    const KeyValues& found = layers[(size_t)layer];
    require(found.dim == head_dim && width == (int64_t)found.heads * head_dim, kAnotherModel);
}

}  // namespace

void require(bool holds, const std::string& what) {
    if (!holds) throw std::invalid_argument(what);
}

const Buffer& Check::at(int id) const {
    require(id >= 0 && (size_t)id < buffers_.size(), "there is no buffer " + text(id));
    return buffers_[(size_t)id];
}

void Check::is_float(int id, const char* who) const {
    require(at(id).kind == Kind::F32, std::string(who) + ": input must be f32");
}

void Check::of_tokens(int id, const char* who) const {
    require(at(id).rows == Rows::Tokens && at(id).each == 1, std::string(who) + ": wants a row for each token");
}

void Check::same_rows(int a, int b, const char* who) const {
    require(at(a).rows == at(b).rows && at(a).each == at(b).each, std::string(who) + ": rows differ");
}

void Check::same_shape(int a, int b, const char* who) const {
    same_rows(a, b, who);
    require(at(a).width == at(b).width, std::string(who) + ": widths differ");
}

void Check::row_by_row(std::initializer_list<int> inputs, int out, const char* who) const {
    for (int id : inputs) {
        is_float(id, who);
        same_shape(id, out, who);
    }
}

void Check::floats_row_by_row(std::initializer_list<int> inputs, int out, const char* who) const {
    row_by_row(inputs, out, who);
    require(holds_floats(at(out)), std::string(who) + ": out must be f32");
}

void Check::in_groups(int x, int64_t group, int out, const char* who) const {
    require(group > 0 && at(x).width % group == 0, std::string(who) + ": width is no multiple of a group");
    require(holds_floats(at(out)) || group % kActivationBlock == 0, std::string(who) + ": q8 output wants groups of a multiple of 32");
}

void Check::operator()(const Embed& i) const {
    const Buffer& out = at(i.out);
    of_tokens(i.out, "embed");
    require(i.weight.matrices == 1 && out.kind == Kind::F32 && out.width == i.weight.columns, "embed: out must be f32 [tokens, columns]");
}

void Check::operator()(const EmbedPositions& i) const {
    const Buffer& out = at(i.out);
    of_tokens(i.out, "embed_positions");
    require(out.kind == Kind::F32 && out.width == i.weight.columns, "embed_positions: out must be f32 [tokens, columns]");
    require(i.offset >= 0 && i.offset <= i.weight.rows, "embed_positions: the offset lies outside of the table");
}

void Check::operator()(const TakeRows& i) const {
    const Buffer& x = at(i.x);
    const Buffer& out = at(i.out);
    require(x.kind == Kind::F32 || x.kind == Kind::Route, "take_rows: input must be f32 or a route");
    require((out.kind == x.kind || (out.kind == Kind::Out && x.kind == Kind::F32)) && out.width == x.width && out.each == x.each, "take_rows: out must be like the input");
    require(x.rows == Rows::Tokens && out.rows == Rows::Rows, "take_rows: from tokens to rows");
    require(out.experts == x.experts || out.experts == 0, "take_rows: the buffer is another route's");
}

void Check::operator()(const RmsNorm& i) const {
    row_by_row({i.x}, i.out, "rms_norm");
    in_groups(i.x, (int64_t)i.weight.size(), i.out, "rms_norm");
}

void Check::operator()(const LayerNorm& i) const {
    row_by_row({i.x}, i.out, "layer_norm");
    const int64_t width = at(i.x).width;
    require(i.groups > 0 && width % i.groups == 0, "layer_norm: width is no multiple of the groups");
    in_groups(i.x, width / i.groups, i.out, "layer_norm");
    require((int64_t)i.weight.size() == width, "layer_norm: weight must be as long as a row");
    require(i.bias.empty() || (int64_t)i.bias.size() == width, "layer_norm: bias must be as long as a row");
}

void Check::operator()(const L2Norm& i) const {
    floats_row_by_row({i.x}, i.out, "l2_norm");
    require(i.heads > 0 && at(i.x).width % i.heads == 0, "l2_norm: width is no multiple of the heads");
}

void Check::operator()(const HeadDot& i) const {
    floats_row_by_row({i.a, i.b}, i.out, "head_dot");
    require(i.heads > 0 && at(i.a).width % i.heads == 0, "head_dot: width is no multiple of the heads");
}

void Check::operator()(const Quantise& i) const {
    is_float(i.x, "quantise");
    same_shape(i.x, i.out, "quantise");
    require(at(i.out).kind == Kind::Q8, "quantise: out must be q8");
}

void Check::multiplies(int input, const Weight& w, const char* who) const {
    const Buffer& x = at(input);
    require(x.kind == (w.info->form == Form::Float ? Kind::F32 : Kind::Q8), std::string(who) + ": a quantised weight wants q8 input, a float weight f32");
    require(w.matrices == 1, std::string(who) + ": the weight is one matrix");
    require(x.width == w.columns, std::string(who) + ": input width " + text(x.width) + " is not the weight's " + text(w.columns) + " columns");
}

void Check::operator()(const Linear& i) const {
    const Buffer& x = at(i.x);
    require(!i.weights.empty() && i.weights.size() == i.outs.size() && i.weights.size() == i.biases.size(),
            "linear: as many weights as biases and outs");
    require(x.each == 1, "linear: wants one row for each token");
    for (size_t j = 0; j < i.weights.size(); ++j) {
        const Weight& w = *i.weights[j];
        const Buffer& out = at(i.outs[j]);
        multiplies(i.x, w, "linear");
        require(holds_floats(out) && out.width == w.rows, "linear: out must be f32 and as wide as the weight has rows");
        same_rows(i.x, i.outs[j], "linear");
        require(i.biases[j].empty() || (int64_t)i.biases[j].size() == w.rows, "linear: bias length is not the weight's rows");
    }
    if (i.residual < 0) return;
    require(i.weights.size() == 1, "linear: a residual goes with one weight");
    is_float(i.residual, "linear residual");
    same_shape(i.residual, i.outs[0], "linear residual");
}

void Check::operator()(const Rope& i) const {
    is_float(i.x, "rope");
    of_tokens(i.x, "rope");
    require(i.table >= 0 && (size_t)i.table < tables_.size(), "rope: there is no such table");
    require(i.head_dim > 0 && at(i.x).width % i.head_dim == 0, "rope: width is no multiple of head_dim");
    require(2 * tables_[(size_t)i.table].inverse_frequencies.size() <= (size_t)i.head_dim,
            "rope: more angles than the head has pairs");
}

void Check::bias_fits(int bias, int64_t heads, int head_dim) const {
    if (bias == -1) return;
    require(bias >= 0 && (size_t)bias < key_biases_.size(), "attention: there is no such bias of keys");
    const StoredKeyBias& found = key_biases_[(size_t)bias];
    require((int64_t)found.begin.size() == heads + 1 && found.channels <= head_dim, "attention: the bias is of other keys");
}

void Check::operator()(const Append& i) const {
    is_float(i.k, "attention");
    is_float(i.v, "attention");
    of_tokens(i.k, "attention");
    require(i.layer >= 0, "attention: there is no such layer");
    same_shape(i.k, i.v, "attention");
    bias_fits(i.bias, i.head_dim > 0 ? at(i.k).width / i.head_dim : 0, i.head_dim);
}

void Check::operator()(const Attention& i) const {
    is_float(i.q, "attention");
    of_tokens(i.q, "attention");
    same_shape(i.q, i.out, "attention");
    require(i.head_dim > 0 && i.head_dim <= kHeadLimit, "attention: head_dim must be 1 to " + text(kHeadLimit));
    require(i.kv_heads > 0 && i.heads % i.kv_heads == 0, "attention: heads must be a multiple of kv heads");
    require(at(i.q).width == (int64_t)i.heads * i.head_dim, "attention: width is not heads times head_dim");
    require(i.layer >= 0, "attention: there is no such layer");
    bias_fits(i.bias, i.kv_heads, i.head_dim);
    require(i.window == 0 || (i.window > 0 && i.keys == Keys::Past), "attention: window must not be negative, and is for the past");
    require(i.scores.slopes.empty() || (int)i.scores.slopes.size() == i.heads, "attention: there must be a slope for each head");
    require(i.scores.distances.size() % (size_t)i.heads == 0, "attention: distances must be [heads, span]");
    require(i.scores.first_distance >= -INT32_MAX && i.scores.first_distance <= INT32_MAX, "attention: distances begin too far away");
    require(holds_floats(at(i.out)) || i.head_dim % kActivationBlock == 0,
            "attention: q8 output wants a head_dim that is a multiple of 32");
}

void Check::operator()(const Affine& i) const {
    row_by_row({i.x}, i.out, "affine");
    for (const Floats* vector : {&i.weight, &i.bias})
        require(vector->empty() || (int64_t)vector->size() == at(i.x).width, "affine: weight and bias must be as long as a row");
}

void Check::operator()(const Activate& i) const { row_by_row({i.x}, i.out, "activate"); }

void Check::operator()(const Gated& i) const {
    row_by_row({i.gate, i.up}, i.out, "gated");
    require(!has_parameter(i.function), "gated: the function has a parameter");
}

void Check::operator()(const GatedLinear& i) const {
    require(at(i.x).each == 1, "gated_linear: wants one row for each token");
    for (const Weight* w : {i.gate, i.up}) {
        multiplies(i.x, *w, "gated_linear");
        require(at(i.out).width == w->rows && w->rows % kActivationBlock == 0, "gated_linear: out must be as wide as the weights have rows, a multiple of 32");
    }
    require(i.out != i.x && (holds_floats(at(i.out)) || at(i.out).kind == Kind::Q8), "gated_linear: out must be f32 or q8, and not the input");
    same_rows(i.x, i.out, "gated_linear");
    require(!has_parameter(i.function), "gated_linear: the function has a parameter");
}

void Check::operator()(const Columns& i) const {
    is_float(i.x, "columns");
    same_rows(i.x, i.out, "columns");
    require(holds_floats(at(i.out)), "columns: out must be f32");
    require(i.first >= 0 && i.first <= at(i.x).width - at(i.out).width, "columns: there are only " + text(at(i.x).width));
}

void Check::operator()(const Add& i) const { floats_row_by_row({i.a, i.b}, i.out, "add"); }
void Check::operator()(const Subtract& i) const { floats_row_by_row({i.a, i.b}, i.out, "subtract"); }
void Check::operator()(const Multiply& i) const { floats_row_by_row({i.a, i.b}, i.out, "multiply"); }

void check_step(const Step& step, int64_t max_tokens, int64_t max_rows, Reader reader) {
    require(step.count >= 1 && step.count <= max_tokens, "a step takes 1 to " + text(max_tokens) + " tokens, not " + text(step.count));
    require(step.row_count >= 0 && step.row_count <= max_rows, "at most " + text(max_rows) + " rows of logits a step");
    int64_t total = 0;
    for (size_t r = 0; r < step.runs.size(); ++r) {
        const Cache& cache = *step.runs[r].cache;
        const int64_t count = step.runs[r].count;
        require(count >= 1, "a run has at least one token");
        require(count <= step.count, "a run has more tokens than the step");
        require(cache.length + count <= cache.room(),
                "the cache holds " + text(cache.room()) + " tokens, " + text(cache.length + count) + " are needed");
        if (reader != Reader::Decoder) require(cache.length == 0, "an encoder reads from the first token on, and the cache holds " + text(cache.length));
        if (reader == Reader::Remembering)
            require(count <= cache.memory_capacity, "the cache remembers " + text(cache.memory_capacity) + " tokens, " + text(count) + " are needed");
        for (size_t other = 0; other < r; ++other)
            require(step.runs[other].cache != &cache, "a sequence appears twice in one step");
        total += count;
    }
    require(total == step.count, "the runs cover " + text(total) + " of " + text(step.count) + " tokens");
    for (int64_t r = 0; r < step.row_count; ++r)
        require(step.rows[r] >= 0 && step.rows[r] < step.count, "a row of logits is not a token of the step");
}

void check_step(const Step& step, const Instruction& instruction, const std::vector<Buffer>& buffers) {
    if (auto* embed = std::get_if<Embed>(&instruction)) {
        const int64_t vocabulary = embed->weight.rows;
        for (int64_t t = 0; t < step.count; ++t)
            require(step.tokens[t] >= 0 && step.tokens[t] < vocabulary,
                    "token id " + text(step.tokens[t]) + " is not in a vocabulary of " + text(vocabulary));
    } else if (auto* table = std::get_if<EmbedPositions>(&instruction)) {
        const int64_t positions = table->weight.rows - table->offset;
        for (const Run& run : step.runs)
            require(run.cache->length + run.count <= positions,
                    "position " + text(run.cache->length + run.count - 1) + " is not in a table of " + text(positions));
    } else if (auto* append = std::get_if<Append>(&instruction)) {
        for (const Run& run : step.runs) require_fit(*run.cache, append->keys, append->layer, append->head_dim, buffers[(size_t)append->k].width);
    } else if (auto* attention = std::get_if<Attention>(&instruction)) {
        for (const Run& run : step.runs) {
            require_fit(*run.cache, attention->keys, attention->layer, attention->head_dim, (int64_t)attention->kv_heads * attention->head_dim);
            require(attention->keys != Keys::Memory || run.cache->memory_length > 0, "nothing of an encoder is remembered");
        }
    }
}

}  // namespace furet
