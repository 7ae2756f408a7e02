// Coefficients and constants of the SIMD functions. Written by fit_polynomials.py: change that,
// and run it with --write. Errors are absolute, in the function on the left.
#pragma once

// clang-format off: one number a line

namespace arenagrad::program {
namespace {

// exp(r) = 1 + r + r**2 p(r), degree 9, for |r| <= log(2) / 2.
// Largest error 3.6e-18, and 3.5e-18 before the coefficients were rounded.
constexpr double kExpPolynomial[] = {
    0.5000000000000012,
    0.166666666666667,
    0.04166666666651888,
    0.008333333333307252,
    0.0013888888946254406,
    0.00019841269917252228,
    2.4801490632121538e-05,
    2.755721643069935e-06,
    2.7631059208635744e-07,
    2.5117818344519973e-08,
};

// exp(r) = 1 + r + r**2 p(r), degree 5, for |r| <= log(2) / 32.
// Largest error 1.2e-20, and 1.2e-20 before the coefficients were rounded.
constexpr double kShortExpPolynomial[] = {
    0.5000000000000004,
    0.1666666666666668,
    0.04166666666074168,
    0.008333333332217783,
    0.0013889110253093697,
    0.00019841578060640245,
};

// log(1 + f) / s = 2 + z p(z), degree 6, for s = f / (2 + f), z = s**2 <= 0.0295.
// Largest error 2.6e-18, and 2.5e-18 before the coefficients were rounded.
constexpr double kLogPolynomial[] = {
    0.6666666666666734,
    0.3999999999941664,
    0.2857142874202751,
    0.22222198605148283,
    0.18183562845149262,
    0.15314085031205746,
    0.1479563111868737,
};

// log(1 + f) / s = 2 + 2/3 z + z**2 p(z), degree 6, for s = f / (2 + f), z = s**2 <= 0.0295.
// Largest error 2.3e-20, and 2.3e-20 before the coefficients were rounded.
constexpr double kPowLogPolynomial[] = {
    0.40000000000002256,
    0.28571428570099655,
    0.22222222519900905,
    0.18181784369633086,
    0.15386757192150977,
    0.13256821463461185,
    0.13196290286481413,
};

// sin(r) / r = 1 + z p(z), degree 5, for z = r**2 <= (pi / 4)**2.
// Largest error 3.6e-18, and 3.5e-18 before the coefficients were rounded.
constexpr double kSinPolynomial[] = {
    -0.16666666666666632,
    0.00833333333332249,
    -0.00019841269829858104,
    2.755731370713369e-06,
    -2.5050760264516078e-08,
    1.5896910646738957e-10,
};

// cos(r) = 1 - z / 2 + z**2 p(z), degree 5, for z = r**2 <= (pi / 4)**2.
// Largest error 5.6e-20, and 4.8e-20 before the coefficients were rounded.
constexpr double kCosPolynomial[] = {
    0.0416666666666666,
    -0.0013888888888874474,
    2.4801587289671256e-05,
    -2.7557314400939793e-07,
    2.0875729268457003e-09,
    -1.1359933582813436e-11,
};

// atan(t) / t = 1 + z p(z), degree 10, for z = t**2 <= tan(pi / 8)**2.
// Largest error 1.3e-18, and 1.3e-18 before the coefficients were rounded.
constexpr double kAtanPolynomial[] = {
    -0.333333333333332,
    0.19999999999953819,
    -0.14285714280220543,
    0.11111110784676713,
    -0.09090897792814809,
    0.07692060834842819,
    -0.06663110992444214,
    0.05847938752433806,
    -0.05039521689917739,
    0.03806991095591102,
    -0.017912881048933346,
};

// asin(x) / x = 1 + z p(z), degree 12, for z = x**2 <= 1/4.
// Largest error 1.3e-18, and 9.9e-19 before the coefficients were rounded.
constexpr double kAsinPolynomial[] = {
    0.16666666666666763,
    0.07499999999970129,
    0.044642857175253764,
    0.030381942676938504,
    0.022372215856382997,
    0.01735159643574792,
    0.01398100680380486,
    0.011397392992111049,
    0.010788740070638349,
    0.003674454927150522,
    0.02178495003119314,
    -0.02110841959379401,
    0.03269682807522707,
};

// erf(x) / x = p(z), degree 12, for z = x**2 <= 1.
// Largest error 1.6e-17, and 1.3e-19 before the coefficients were rounded.
constexpr double kErfPolynomial[] = {
    1.1283791670955126,
    -0.3761263890318375,
    0.11283791670954885,
    -0.02686617064507787,
    0.00522397762482839,
    -0.0008548326981423647,
    0.00012055331132901249,
    -1.4925595771175461e-05,
    1.6461008465981513e-06,
    -1.635039613774995e-07,
    1.466032838897295e-08,
    -1.1374955262328853e-09,
    5.960685761404109e-11,
};

// exp(u**2) erfc(u) (1 + 2u) = p(t), degree 23, for t = (u - 4) / (u + 4), 0 <= u <= 27.5.
// Largest error 5.5e-17, and 1.5e-18 before the coefficients were rounded.
constexpr double kErfTailPolynomial[] = {
    1.2329951186255526,
    -0.13962111684056253,
    0.015379652102619676,
    0.06809705425469538,
    -0.1010390660363008,
    0.09373283499825337,
    -0.06633036581229236,
    0.03716751553904687,
    -0.016197734056955074,
    0.005031969964010654,
    -0.0007577732946019915,
    -0.00019925661920439813,
    0.0001506217066090771,
    -2.4399469766871434e-05,
    -1.1222148424564884e-05,
    5.710269818823167e-06,
    2.941301687075462e-07,
    -8.260808854533855e-07,
    7.409482389163802e-08,
    1.1042749981181468e-07,
    -1.742438350728029e-08,
    -1.4097600564302779e-08,
    1.6509695220746766e-09,
    1.1924800044802515e-09,
};

// 2**(k / 16) for k = 0, 1, ..., 15, and what these doubles lack
constexpr double kPowersHigh[] = {
    1.0,
    1.0442737824274138,
    1.0905077326652577,
    1.1387886347566916,
    1.189207115002721,
    1.241857812073484,
    1.2968395546510096,
    1.3542555469368927,
    1.4142135623730951,
    1.4768261459394993,
    1.5422108254079407,
    1.6104903319492543,
    1.681792830507429,
    1.7562521603732995,
    1.8340080864093424,
    1.9152065613971474,
};
constexpr double kPowersLow[] = {
    0.0,
    8.551889705537965e-17,
    -3.046782079812471e-17,
    8.912812676025408e-17,
    3.982015231465646e-17,
    4.658027591836937e-17,
    2.5382502794888315e-17,
    7.70094837980299e-17,
    -9.667293313452913e-17,
    -3.483994556892796e-17,
    7.949834809697621e-17,
    2.4707192569797888e-17,
    8.199010020581497e-17,
    2.960140695448873e-17,
    3.283107224245627e-17,
    -1.0619946056195963e-16,
};

// log(2), cut to 41 bits: exact times an integer below 2**12
constexpr double kLn2High = 0.693147180559663;
constexpr double kLn2Low = 2.8235290563031577e-13;

// log(2)
constexpr double kLn2 = 0.6931471805599453;
constexpr double kLn2Rest = 2.3190468138462996e-17;

// log(2) / 16, cut to 38 bits: exact times an integer below 2**15
constexpr double kLn2Over16High = 0.04332169878489367;
constexpr double kLn2Over16Low = 1.0291218489310676e-13;

// 16 / log(2)
constexpr double kSixteenOverLn2 = 23.083120654223414;

// log2(e)
constexpr double kLog2E = 1.4426950408889634;
constexpr double kLog2ERest = 2.0355273740931033e-17;

// log10(2), cut to 41 bits: exact times an integer below 2**12
constexpr double kLog10Of2High = 0.30102999566383914;
constexpr double kLog10Of2Low = 1.42050232272661e-13;

// log10(e)
constexpr double kLog10E = 0.4342944819032518;
constexpr double kLog10ERest = 1.098319650216765e-17;

// pi / 2, cut to 33 bits: exact times an integer below 2**20
constexpr double kHalfPiHigh = 1.5707963267341256;
constexpr double kHalfPiMiddle = 6.077100506303966e-11;
constexpr double kHalfPiLow = 2.0222662487959506e-21;

// pi / 4
constexpr double kQuarterPi = 0.7853981633974483;
constexpr double kQuarterPiRest = 3.061616997868383e-17;

// 2 / pi
constexpr double kTwoOverPi = 0.6366197723675814;

// tan(pi / 8)
constexpr double kTanOfEighthPi = 0.41421356237309503;

// tan(3 pi / 8)
constexpr double kTanOfThreeEighthsPi = 2.414213562373095;

// 1 / 3
constexpr double kThird = 0.3333333333333333;
constexpr double kThirdRest = 1.850371707708594e-17;

// sqrt(1 / 2)
constexpr double kRootOfHalf = 0.7071067811865476;

// 1 / sqrt(2 pi)
constexpr double kOneOverRootTwoPi = 0.3989422804014327;

} // namespace
} // namespace arenagrad::program
