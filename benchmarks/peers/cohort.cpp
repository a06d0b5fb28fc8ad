// The core loop in C++, written to win: responses as in retrowalk.kernels.responses, then statistics either with
// exact quantiles (selection within buckets) or in one pass as in retrowalk.kernels.statistics.
// Members lie innermost, in blocks that stay in the first-level cache; the state changes at visits only.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

namespace {

constexpr int BLOCK = 512;
constexpr int BUCKETS = 1024;
constexpr int LANES = 64;

struct Plan {
    int days, members;
    const int32_t *visit_on, *record_on;
    const uint8_t *attended;
    const float *gain, *dose;
    float decay_fitness, decay_fatigue, weight_fitness, weight_fatigue, sigma;
    const float *z, *start;
};

void fade_table(float decay, int days, std::vector<float> &table) {
    table.resize(days + 1);
    double power = 1.0;
    for (int n = 0; n <= days; ++n) {
        table[n] = static_cast<float>(power);
        power *= decay;
    }
}

// Next-day convention: a visit counts from the day after.
template <bool Stream>
void respond(const Plan &p, const int32_t *record_on, float *__restrict out) {
    static thread_local std::vector<float> fade_up, fade_down;
    fade_table(p.decay_fitness, p.days, fade_up);
    fade_table(p.decay_fatigue, p.days, fade_down);
    alignas(64) float fitness[BLOCK], fatigue[BLOCK], sensitivity[BLOCK];
    for (int first = 0; first < p.members; first += BLOCK) {
        const int width = std::min(BLOCK, p.members - first);
        const float *__restrict start = p.start + first;
        const float *__restrict z = p.z + first;
        std::memset(fitness, 0, sizeof fitness);
        std::memset(fatigue, 0, sizeof fatigue);
        for (int i = 0; i < width; ++i) sensitivity[i] = p.sigma * z[i];
        int latest = 0;
        for (int day = 0; day < p.days; ++day) {
            const int visit = p.visit_on[day], row = record_on[day];
            const float a = fade_up[day - latest], b = fade_down[day - latest];
            if (row >= 0) {
                const float up = p.weight_fitness * a, down = p.weight_fatigue * b;
                float *__restrict to = out + static_cast<size_t>(row) * p.members + first;
#ifdef __AVX512F__
                if (Stream && width == BLOCK && reinterpret_cast<uintptr_t>(to) % 64 == 0) {
                    const __m512 u = _mm512_set1_ps(up), d = _mm512_set1_ps(down);
                    for (int i = 0; i < BLOCK; i += 16) {
                        const __m512 fall = _mm512_mul_ps(d, _mm512_load_ps(fatigue + i));
                        const __m512 rise = _mm512_fmsub_ps(u, _mm512_load_ps(fitness + i), fall);
                        _mm512_stream_ps(to + i, _mm512_add_ps(_mm512_loadu_ps(start + i), rise));
                    }
                } else
#endif
                    for (int i = 0; i < width; ++i) to[i] = start[i] + (up * fitness[i] - down * fatigue[i]);
            }
            if (visit >= 0) {
                const uint8_t *__restrict came = p.attended + static_cast<size_t>(visit) * p.members + first;
                const float gain = p.gain[visit], dose = p.dose[visit];
                for (int i = 0; i < width; ++i) {
                    const float impulse = static_cast<float>(came[i]) * (gain + sensitivity[i] * dose);
                    fitness[i] = a * fitness[i] + impulse;
                    fatigue[i] = b * fatigue[i] + impulse;
                }
                latest = day;
            }
        }
    }
}

// Without fast-math g++ does not vectorise std::floor; a conversion and a comparison it does.
template <typename Real>
inline int32_t whole_below(Real x) {
    const int32_t n = static_cast<int32_t>(x);
    return n - (x < static_cast<Real>(n) ? 1 : 0);
}

inline float exponential(float x) {
    x = x < -87.0f ? -87.0f : x;
    x = x > 87.0f ? 87.0f : x;
    const int32_t whole = whole_below(x * 1.4426950408889634f + 0.5f);
    const float n = static_cast<float>(whole);
    const float r = (x - n * 0.693359375f) - n * -2.1219444005469057e-4f;
    const float series = (((((r / 5040 + 1.0f / 720) * r + 1.0f / 120) * r + 1.0f / 24) * r + 1.0f / 6) * r
                          + 0.5f) * r * r + r + 1.0f;
    const int32_t bits = (whole + 127) << 23;
    return series * __builtin_bit_cast(float, bits);
}

void inverse_link(const double *link, int n, const float *__restrict eta, float *__restrict out) {
    const float low = static_cast<float>(link[1]), span = static_cast<float>(link[2] - link[1]);
    if (link[0] == 1.0) {
        for (int i = 0; i < n; ++i) out[i] = exponential(eta[i]);
    } else if (link[0] == 2.0) {
        for (int i = 0; i < n; ++i) out[i] = low + span / (1.0f + exponential(-eta[i]));
    } else {
        std::memcpy(out, eta, sizeof(float) * n);
    }
}

double total(const double *lanes) {
    double sum = 0.0;
    for (int j = 0; j < LANES; ++j) sum += lanes[j];
    return sum;
}

void mean_sd(const float *__restrict values, const uint8_t *__restrict here, int n, int count, float *out,
             int stride) {
    // Many partial sums, so that the compiler may use vector registers without reordering an addition.
    double lanes[LANES] = {};
    const int whole = n - n % LANES;
    for (int first = 0; first < whole; first += LANES)
        for (int j = 0; j < LANES; ++j) {
            lanes[j] += values[first + j] * static_cast<float>(here[first + j]);
        }
    for (int i = whole; i < n; ++i) lanes[i - whole] += here[i] ? values[i] : 0.0f;
    const double mean = count > 0 ? total(lanes) / count : NAN;
    std::fill(lanes, lanes + LANES, 0.0);
    for (int first = 0; first < whole; first += LANES)
        for (int j = 0; j < LANES; ++j) {
            const double away = (values[first + j] - mean) * static_cast<float>(here[first + j]);
            lanes[j] += away * away;
        }
    for (int i = whole; i < n; ++i) {
        const double away = here[i] ? values[i] - mean : 0.0;
        lanes[i - whole] += away * away;
    }
    out[0] = static_cast<float>(mean);
    out[stride] = count > 1 ? static_cast<float>(std::sqrt(total(lanes) / (count - 1))) : NAN;
}

struct Sorter {
    uint16_t *__restrict number;
    float *__restrict kept;
    int32_t sizes[BUCKETS + 1], ends[BUCKETS + 1];

    float rank(int wanted, int &bucket, int &before) {
        while (before + sizes[bucket] <= wanted) before += sizes[bucket++];
        float *first = kept + ends[bucket] - sizes[bucket];
        float *place = first + (wanted - before);
        std::nth_element(first, place, first + sizes[bucket]);
        return *place;
    }

    void quantiles(const float *__restrict values, const uint8_t *__restrict here, int n, int count, float mean,
                   float sd, const double *probabilities, int wanted, float *out, int stride) {
        if (!(sd > 0)) {
            for (int q = 0; q < wanted; ++q) out[q * stride] = count > 0 ? mean : NAN;
            return;
        }
        const float low = mean - 4.0f * sd, scale = BUCKETS / (8.0f * sd);
        for (int i = 0; i < n; ++i) {
            float place = (values[i] - low) * scale;
            place = place > 0.0f ? place : 0.0f;
            const int32_t bucket = static_cast<int32_t>(std::min(place, BUCKETS - 1.0f));
            number[i] = static_cast<uint16_t>(here[i] ? bucket : BUCKETS);
        }
        std::memset(sizes, 0, sizeof sizes);
        for (int i = 0; i < n; ++i) ++sizes[number[i]];
        std::memset(ends, -1, sizeof ends);
        int bucket = 0, before = 0, used = 0;
        for (int q = 0; q < wanted; ++q) {
            const double position = probabilities[q] * (count - 1);
            for (int r = std::floor(position); r <= std::ceil(position); ++r) {
                while (before + sizes[bucket] <= r) before += sizes[bucket++];
                if (ends[bucket] < 0) {
                    ends[bucket] = used;
                    used += sizes[bucket];
                }
            }
        }
        for (int i = 0; i < n; ++i) {
            const int32_t end = ends[number[i]];
            if (end >= 0) {
                kept[end] = values[i];
                ends[number[i]] = end + 1;
            }
        }
        bucket = before = 0;
        for (int q = 0; q < wanted; ++q) {
            const double position = probabilities[q] * (count - 1);
            const int r = std::floor(position);
            const float below = rank(r, bucket, before);
            out[q * stride] = below;
            if (position > r) out[q * stride] = below + (position - r) * (rank(r + 1, bucket, before) - below);
        }
    }
};

void responders(const float *__restrict change, const float *__restrict noted, const uint8_t *__restrict here,
                int n, int count, double sign, double minimum, float *out, int stride) {
    int truly = 0, seen = 0, falsely = 0;
    for (int i = 0; i < n; ++i) {
        const int a = here[i] & (sign * change[i] >= minimum), b = here[i] & (sign * noted[i] >= minimum);
        truly += a;
        seen += b;
        falsely += b & !a;
    }
    const int counts[3] = {truly, seen, falsely};
    for (int kind = 0; kind < 3; ++kind)
        out[kind * stride] = count > 0 ? static_cast<float>(static_cast<double>(counts[kind]) / count) : NAN;
}

// Statistics in one pass: everything of 1 024 members at a time, quantiles from counts in buckets whose width
// doubles with the distance from the first block's mean.
struct OnePass {
    static constexpr int ROWS = 16, WIDTH = ROWS * LANES, SIDE = 8 * 128, COUNTS = 2 * SIDE;
    alignas(64) float values[3][WIDTH];
    alignas(64) uint8_t here[WIDTH];
    int32_t bucket_of[WIDTH], counts[2][COUNTS + 1];
    double sums[3][2][LANES];
    float shift[3], centre[2], scale[2];

    void moments(int k, int count, double &mean, double &sd) const {
        const double linear = total(sums[k][0]), square = total(sums[k][1]);
        mean = count > 0 ? shift[k] + linear / count : NAN;
        sd = count > 1 ? std::sqrt(std::max(0.0, (square - linear * (linear / count)) / (count - 1))) : NAN;
    }

    void add_moments(int k) {
        float linear[LANES] = {}, square[LANES] = {};
        for (int row = 0; row < ROWS; ++row)
            for (int j = 0; j < LANES; ++j) {
                const float came = static_cast<float>(here[row * LANES + j]);
                const float away = came * (values[k][row * LANES + j] - shift[k]);
                linear[j] += away;
                square[j] += away * away;
            }
        for (int j = 0; j < LANES; ++j) {
            sums[k][0][j] += linear[j];
            sums[k][1][j] += square[j];
        }
    }

    void count(int k, int width) {
        const float middle = centre[k], per_sd = scale[k];
        for (int i = 0; i < width; ++i) {
            const float value = values[k][i], far = std::fabs(value - middle) * per_sd + 1.0f;
            int32_t step = (__builtin_bit_cast(int32_t, far) >> 16) - (127 << 7);
            step = step < 0 ? 0 : step;
            step = step > SIDE - 1 ? SIDE - 1 : step;
            const int32_t bucket = value < middle ? SIDE - 1 - step : SIDE + step;
            bucket_of[i] = here[i] ? bucket : COUNTS;
        }
        int32_t *__restrict table = counts[k];
        for (int i = 0; i < width; ++i) ++table[bucket_of[i]];
    }

    static double edge(int bucket) {
        const int step = bucket < SIDE ? SIDE - bucket : bucket - SIDE;
        const double far = std::ldexp(1.0 + (step % 128) / 128.0, step / 128) - 1.0;
        return bucket < SIDE ? -far : far;
    }

    void quantiles(int k, int count, const double *probabilities, int wanted, float *out, int stride) const {
        int32_t groups[COUNTS / 64] = {};
        for (int g = 0; g < COUNTS / 64; ++g)
            for (int b = 0; b < 64; ++b) groups[g] += counts[k][g * 64 + b];
        int bucket = 0, before = 0;
        for (int q = 0; q < wanted; ++q) {
            const double position = probabilities[q] * (count - 1);
            const int rank = static_cast<int>(std::floor(position));
            double ends[2];
            int walk = bucket, passed = before;
            for (int upper = 0; upper < 2; ++upper) {
                const int sought = std::min(rank + upper, count - 1);
                while (passed + counts[k][walk] <= sought) {
                    const bool skip = walk % 64 == 0 && passed + groups[walk / 64] <= sought;
                    passed += skip ? groups[walk / 64] : counts[k][walk];
                    walk += skip ? 64 : 1;
                }
                const double share = (sought - passed + 0.5) / counts[k][walk];
                ends[upper] = centre[k] + (edge(walk) + share * (edge(walk + 1) - edge(walk))) / scale[k];
                if (upper == 0) {
                    bucket = walk;
                    before = passed;
                }
            }
            out[q * stride] = static_cast<float>(ends[0] + (position - rank) * (ends[1] - ends[0]));
        }
    }
};

}  // namespace

extern "C" {

void follow(const Plan *p, const int32_t *every_day, int stream, float *out) {
    if (stream)
        respond<true>(*p, every_day, out);
    else
        respond<false>(*p, every_day, out);
}

// One outcome; outputs have `records` columns and their statistics as rows.
void summarize(const Plan *p, int records, const uint8_t *assessed, const double *link, const double *minimum,
               const float *noise, const float *base_true, const float *base_observed, int wanted,
               const double *probabilities, float *level, float *quantile, float *change_level,
               float *change_quantile, float *observed_level, float *responder) {
    const int n = p->members;
    static thread_local std::vector<float> eta, truth, change, noted;
    static thread_local std::vector<uint16_t> numbers;
    static thread_local std::vector<float> kept;
    numbers.resize(n);
    kept.resize(n);
    Sorter sorter;
    sorter.number = numbers.data();
    sorter.kept = kept.data();
    eta.resize(static_cast<size_t>(records) * n);
    truth.resize(n);
    change.resize(n);
    noted.resize(n);
    respond<false>(*p, p->record_on, eta.data());
    const double low = link[3], high = link[4], step = link[5], error = link[6], per_step = 1.0 / step;
    for (int e = 0; e < records; ++e) {
        const uint8_t *__restrict here = assessed + static_cast<size_t>(e) * n;
        const float *__restrict noise_now = noise + static_cast<size_t>(e) * n;
        float *__restrict t = truth.data(), *__restrict c = change.data(), *__restrict o = noted.data();
        int count = 0;
        for (int i = 0; i < n; ++i) count += here[i];
        inverse_link(link, n, eta.data() + static_cast<size_t>(e) * n, t);
        for (int i = 0; i < n; ++i) {
            c[i] = t[i] - base_true[i];
            double read = whole_below((t[i] + error * noise_now[i]) * per_step + 0.5) * step;
            read = read < low ? low : read;
            read = read > high ? high : read;
            o[i] = static_cast<float>(read) - base_observed[i];
        }
        mean_sd(t, here, n, count, level + e, records);
        mean_sd(c, here, n, count, change_level + e, records);
        mean_sd(o, here, n, count, observed_level + e, records);
        responders(c, o, here, n, count, minimum[0], minimum[1], responder + e, records);
        sorter.quantiles(t, here, n, count, level[e], level[records + e], probabilities, wanted, quantile + e,
                         records);
        sorter.quantiles(c, here, n, count, change_level[e], change_level[records + e], probabilities, wanted,
                         change_quantile + e, records);
    }
}

// The same in one pass.
void summarize_in_one_pass(const Plan *p, int records, const uint8_t *assessed, const double *link,
                           const double *minimum, const float *noise, const float *base_true,
                           const float *base_observed, int wanted, const double *probabilities, float *level,
                           float *quantile, float *change_level, float *change_quantile, float *observed_level,
                           float *responder) {
    const int n = p->members;
    static thread_local std::vector<float> eta;
    OnePass one{};  // nobody is counted with 0 times a value, which must be a number
    eta.resize(static_cast<size_t>(records) * n);
    respond<false>(*p, p->record_on, eta.data());
    const float low = link[3], high = link[4], step = link[5], error = link[6], per_step = 1.0 / link[5];
    const float sign = minimum[0], least = minimum[1];
    float *const moments_of[3] = {level, change_level, observed_level};
    float *const quantiles_of[2] = {quantile, change_quantile};
    for (int e = 0; e < records; ++e) {
        std::memset(one.counts, 0, sizeof one.counts);
        std::memset(one.sums, 0, sizeof one.sums);
        int count = 0, truly = 0, seen = 0, both = 0;
        double mean, sd;
        for (int first = 0; first < n; first += OnePass::WIDTH) {
            const int width = std::min(OnePass::WIDTH, n - first);
            const float *__restrict noise_now = noise + static_cast<size_t>(e) * n + first;
            float *__restrict t = one.values[0], *__restrict c = one.values[1], *__restrict o = one.values[2];
            std::memset(one.here, 0, sizeof one.here);
            std::memcpy(one.here, assessed + static_cast<size_t>(e) * n + first, width);
            inverse_link(link, width, eta.data() + static_cast<size_t>(e) * n + first, t);
            for (int i = 0; i < width; ++i) {
                c[i] = t[i] - base_true[first + i];
                float read = static_cast<float>(whole_below((t[i] + error * noise_now[i]) * per_step + 0.5f)) * step;
                read = read < low ? low : read;
                read = read > high ? high : read;
                o[i] = read - base_observed[first + i];
            }
            if (first == 0)
                for (int k = 0; k < 3; ++k) one.shift[k] = one.values[k][0];
            for (int k = 0; k < 3; ++k) one.add_moments(k);
            for (int i = 0; i < width; ++i) {
                const int a = one.here[i] & (sign * c[i] >= least), b = one.here[i] & (sign * o[i] >= least);
                count += one.here[i];
                truly += a;
                seen += b;
                both += a & b;
            }
            for (int k = 0; k < 2; ++k) {
                if (first == 0) {
                    one.moments(k, count, mean, sd);
                    one.centre[k] = sd > 0 ? static_cast<float>(mean) : one.shift[k];
                    one.scale[k] = static_cast<float>(1.0 / (sd > 0 ? sd : step));
                }
                one.count(k, width);
            }
        }
        for (int k = 0; k < 3; ++k) {
            one.moments(k, count, mean, sd);
            moments_of[k][e] = static_cast<float>(mean);
            moments_of[k][records + e] = static_cast<float>(sd);
            if (k == 2) continue;
            if (sd > 0)
                one.quantiles(k, count, probabilities, wanted, quantiles_of[k] + e, records);
            else
                for (int q = 0; q < wanted; ++q) quantiles_of[k][q * records + e] = static_cast<float>(mean);
        }
        const int shares[3] = {truly, seen, seen - both};
        for (int kind = 0; kind < 3; ++kind)
            responder[kind * records + e] = static_cast<float>(static_cast<double>(shares[kind]) / count);
    }
}

// Plain and streaming writes of one buffer, for the machine's bandwidth.
void write_all(float *out, int64_t n, float value, int stream) {
#ifdef __AVX512F__
    if (stream && reinterpret_cast<uintptr_t>(out) % 64 == 0) {
        const __m512 v = _mm512_set1_ps(value);
        for (int64_t i = 0; i + 16 <= n; i += 16) _mm512_stream_ps(out + i, v);
        _mm_sfence();
        return;
    }
#endif
    std::fill(out, out + n, value);
}
}
