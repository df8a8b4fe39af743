// Parsed modules and decoded kernels.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace ptxrun {

struct Warp;
struct Inst;
using Fn = void (*)(Warp&, const Inst&);

enum class Kind : uint8_t {
  Alu,
  Ld,
  St,
  Atom,
  Bra,
  BrxIdx,
  Exit,
  Trap,
  Nop,
  Yield,
  Bar,
  BarArrive,
  WarpSync,
  Shfl,
  Vote,
  Match,
  Redux,
  Elect,
  ActiveMask,
  Clock,
  Call,
  AsyncCopy,
  Unknown
};
enum class Space : uint8_t { Generic, Global, Shared, Local, Const, Param };

constexpr uint32_t k_const = 0x80000000u;  // operand is an offset into the constant pool
constexpr uint32_t k_none = 0xffffffffu;

// Windows of the generic address space for what is not global memory.
constexpr uint64_t k_shared_win = 0x0100000000000000ull, k_local_win = 0x0200000000000000ull,
                   k_param_win = 0x0300000000000000ull;
constexpr uint64_t k_win_mask = 0xff00000000000000ull;
// Shared memory offsets: static variables start after a reserved kilobyte, as on the device; dynamic
// shared memory has a range of its own, so that running over from one into the other is caught.
constexpr uint32_t k_shared_static = 1024, k_shared_dynamic = 0x40000;

struct Inst {
  Fn f[2] = {nullptr, nullptr};  // some lanes, all 32 lanes
  uint32_t op[6] = {k_none, k_none, k_none, k_none, k_none, k_none};
  uint32_t guard = k_none;  // predicate operand
  Kind kind = Kind::Unknown;
  uint8_t ndef = 0, nop = 0;  // op[0..ndef) are written, op[ndef..nop) are read
  uint8_t guard_neg = 0;
  int64_t imm = 0;  // address offset, immediate, ...
  uint32_t target = 0;
  Space space = Space::Generic;
  uint8_t width = 0;  // bytes per element of a memory access
  uint8_t vec = 1;
  uint8_t regw = 0;                      // storage of the data registers: 4 or 8 bytes
  uint8_t base = 0;                      // address register: 0 none, 4 or 8 bytes
  uint8_t sub = 0, type = 0, flags = 0;  // meaning depends on the kind
};

enum : uint8_t { FSigned = 1, FVolatile = 2, FRed = 4, FAligned = 8, FHasCount = 16, FPredDst = 32 };
enum AtomOp : uint8_t { AAdd, AAnd, AOr, AXor, AExch, ACas, AMin, AMax, AInc, ADec };
enum TypeId : uint8_t {
  TU8,
  TS8,
  TB8,
  TU16,
  TS16,
  TB16,
  TF16,
  TU32,
  TS32,
  TB32,
  TF32,
  TU64,
  TS64,
  TB64,
  TF64,
  TPred,
  TB128,
  TNone
};

struct InstMeta {     // for messages only
  uint32_t line = 0;  // line in the module's PTX text
  int32_t loc = -1;
  std::string_view text;
};
struct SrcLoc {
  uint32_t file, line, col;
  int outer;
};  // outer: where it was inlined, or -1

struct ParamInfo {
  uint32_t offset, size;
};

struct SharedRange {
  uint32_t lo, hi;
  std::string name;
};

struct Code {  // one kernel, decoded for one device
  std::vector<Inst> insts;
  std::vector<InstMeta> meta;
  std::vector<SrcLoc> locs;
  std::vector<uint8_t> consts;                // constant pool
  std::vector<std::vector<uint32_t>> tables;  // brx.idx
  std::vector<std::vector<uint32_t>> calls;   // argument offsets of vprintf, __assertfail
  uint32_t reg_bytes = 0;                     // register file of one warp
  uint32_t regs_per_thread = 0;               // estimate: most 32-bit values live at once
  uint32_t local_bytes = 0;
  uint32_t static_shared = 0;  // size, and the ranges that are valid
  std::vector<SharedRange> shared_ranges;
  struct Special {
    uint32_t off;
    uint8_t id;
  };
  std::vector<Special> specials;  // special registers to fill in
  uint32_t vregs = 0;
};

struct Module;
struct Kernel {
  std::string name, pretty;
  Module* module = nullptr;
  size_t body_begin = 0, body_end = 0;  // text of the body, without the outer braces
  std::vector<ParamInfo> params;
  std::vector<std::string> param_names;
  uint32_t param_bytes = 0;
  uint32_t max_threads = 0, req_threads = 0, min_blocks = 0;
  int max_dyn_shared = 48 * 1024;             // cudaFuncAttributeMaxDynamicSharedMemorySize
  std::map<int, std::unique_ptr<Code>> code;  // by device
  const Code& get(int device);                // decodes at the first use
};

struct FuncDecl {  // .func with a body, to be inlined at its calls
  size_t body_begin = 0, body_end = 0;
  std::vector<std::string> params, rets;
  std::vector<bool> is_reg;
};

struct Variable {
  std::string name;
  Space space = Space::Global;
  bool external = false;
  uint64_t size = 0, align = 1;
  std::string init;  // initialiser text, between the braces or after '='
  uint32_t elem = 1;
  std::map<int, uint64_t> addr;  // by device
};

struct Module {
  std::string text;
  std::string target;
  std::unordered_map<std::string, std::unique_ptr<Kernel>> kernels;
  std::unordered_map<std::string, FuncDecl> funcs;
  std::unordered_map<std::string, Variable> vars;
  std::map<uint32_t, std::string> files;
  std::vector<size_t> line_start;

  explicit Module(std::string ptx);
  uint32_t line_of(size_t pos) const;
  uint64_t address(Variable& v, int device);  // allocates and initialises at the first use
  void release(int device);
};

// Special registers that are filled in per warp; the rest are instructions.
enum Sreg : uint8_t {
  STidX,
  STidY,
  STidZ,
  SNtidX,
  SNtidY,
  SNtidZ,
  SCtaX,
  SCtaY,
  SCtaZ,
  SNctaX,
  SNctaY,
  SNctaZ,
  SLane,
  SWarp,
  SNwarp,
  SLtMask,
  SLeMask,
  SGtMask,
  SGeMask,
  SEqMask,
  SSmid,
  SNsmid,
  SGridId,
  SDynSmem,
  STotalSmem,
  SWarpSize,
  SZero,
  SOne,
  SWsHi,
  SWsLo
};

struct AluEntry {
  Fn f0, f1;
  uint8_t ndef, nop;
  char sto[6];  // 'p', 'w' (32-bit slot) or 'd' (64-bit slot)
};
const AluEntry* find_alu(const std::string& key);

struct ParseError {
  std::string text;
};

}  // namespace ptxrun
