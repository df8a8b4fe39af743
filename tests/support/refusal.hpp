// The message of an expected exception.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "negpipe/error.hpp"

namespace negpipe::test {

/// Returns the message of the Error that a call throws; "accepted" if it throws nothing. Other exceptions pass through.
template <typename Error = negpipe::error, typename Call>
std::string refusal(const Call& call) {
  try {
    call();
  } catch (const Error& failure) {
    return failure.what();
  }
  return "accepted";
}

/// Expects that a call throws option_error with a message that contains `part`.
template <typename Call>
void expect_refused(const std::string& part, const Call& call) {
  const std::string message = refusal<option_error>(call);
  EXPECT_NE(message.find(part), std::string::npos) << message;
}

}  // namespace negpipe::test
