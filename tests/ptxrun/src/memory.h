// Device address space. Device pointers are addresses in a reserved range that host code cannot touch
// (PROT_NONE); their bytes live in a second mapping at a fixed distance. Each allocation is tracked
// with its exact size, so that every kernel access can be checked.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace ptxrun {

enum class MemKind : uint8_t { Device, Variable, Constant, Pinned, Registered, Managed };

struct Alloc {
  uint64_t base = 0, size = 0;
  int64_t delta = 0;  // add to a kernel address to get the host address of its byte
  MemKind kind = MemKind::Device;
  int device = 0;
  uint64_t id = 0;  // serial number
  bool from_pool = false;
  bool was_freed = false;
  unsigned flags = 0;
  std::string what;  // "cudaMalloc", or the name of a variable
};

namespace mem {
// Returns 0 when the device has no room left.
uint64_t alloc_device(int device, uint64_t size, MemKind kind, const std::string& what, bool from_pool = false);
void* alloc_host(uint64_t size, MemKind kind, unsigned flags, const std::string& what, int device);
bool register_host(void* p, uint64_t size, unsigned flags);
bool unregister_host(void* p);
enum class FreeResult { Ok, NotFound, Double, NotBase };
FreeResult release(uint64_t p, bool host_kind);
void release_all(int device);  // cudaDeviceReset

const Alloc* find(uint64_t addr);  // the live allocation that holds addr, or null
std::string describe_near(uint64_t addr, uint64_t size);
bool in_arena(uint64_t addr);
uint8_t* host(uint64_t dev_addr);  // where the byte is, no checks
uint64_t used(int device), total();
uint64_t peak(int device);
size_t count_live(int device, bool user_only);
void leak_report();

// initcheck shadow (only when it is on)
bool init_on();
void mark_init(uint64_t addr, uint64_t size);
void copy_init(uint64_t dst, uint64_t src, uint64_t size);
uint8_t* shadow(uint64_t dev_addr);  // one byte per device byte; 1 = written
int64_t shadow_delta();
}  // namespace mem

}  // namespace ptxrun
